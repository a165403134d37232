package schemachange

import (
	"slices"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// Exclusive lists the existing tables that nobody may write to while the
// statement runs: those that it fills, checks or empties, and those that a new
// foreign key starts to depend on.
func Exclusive(stmt ast.Node, r *catalog.SessionResolver) []types.OID {
	x := &exclusive{r: r}
	switch s := stmt.(type) {
	case *ast.IndexStmt:
		x.add(s.Relation)
	case *ast.TruncateStmt:
		for _, n := range s.Relations {
			if rv, ok := n.(*ast.RangeVar); ok {
				x.add(rv)
			}
		}
		x.cascade(s.Behavior == ast.DROP_CASCADE)
	case *ast.CreateStmt:
		x.references(s)
	case *ast.AlterTableStmt:
		for _, n := range s.Cmds {
			c, ok := n.(*ast.AlterTableCmd)
			if !ok || s.Objtype != ast.OBJECT_TABLE {
				continue
			}
			switch c.Subtype {
			case ast.AT_AddColumn, ast.AT_AddConstraint, ast.AT_ValidateConstraint, ast.AT_AlterColumnType, ast.AT_SetNotNull:
				x.add(s.Relation)
				x.references(c.Def)
			}
		}
	}
	return x.oids
}

type exclusive struct {
	r    *catalog.SessionResolver
	oids []types.OID
}

func (x *exclusive) add(rv *ast.RangeVar) {
	d, ok := x.r.Relation(rangeName(rv))
	if t, isTable := d.(*catalog.Table); ok && isTable && !t.Virtual && !slices.Contains(x.oids, t.ID) {
		x.oids = append(x.oids, t.ID)
	}
}

// references adds the tables that foreign keys within a definition name.
func (x *exclusive) references(n ast.Node) {
	if n == nil {
		return
	}
	ast.Walk(n, func(n ast.Node) bool {
		if c, ok := n.(*ast.Constraint); ok && c.Contype == ast.CONSTR_FOREIGN && c.Pktable != nil {
			x.add(c.Pktable)
		}
		return true
	})
}

// cascade adds what TRUNCATE CASCADE empties as well.
func (x *exclusive) cascade(on bool) {
	for i := 0; on && i < len(x.oids); i++ {
		d, _ := x.r.ByOID(x.oids[i])
		if t, ok := d.(*catalog.Table); ok {
			for _, in := range t.InboundFKs {
				if !slices.Contains(x.oids, in.Table) {
					x.oids = append(x.oids, in.Table)
				}
			}
		}
	}
}
