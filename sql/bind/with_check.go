package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/types"
)

// selfReference finds where a recursive query names itself. Iterating over the
// rows of the last step alone is right only if each of them is seen once, and
// where having more rows cannot take a result back.
type selfReference struct {
	name   string
	within string // what a reference here would be within, if that is forbidden
	count  int
	err    error
}

// checkRecursion refuses recursive queries that have no fixed point by steps, and
// clauses on the whole of them.
func checkRecursion(c *ast.CommonTableExpr, s *ast.SelectStmt) error {
	at := func(n []ast.Node) int {
		for _, x := range n {
			if loc := locationOf(x); loc >= 0 {
				return position(loc)
			}
		}
		return 0
	}
	for _, x := range []struct {
		what string
		list []ast.Node
	}{{"ORDER BY", s.SortClause}, {"OFFSET", one(s.LimitOffset)}, {"LIMIT", one(s.LimitCount)}, {"FOR UPDATE/SHARE", s.LockingClause}} {
		if len(x.list) > 0 {
			return types.Errorf(types.CodeFeatureNotSupported, "%s in a recursive query is not implemented", x.what).At(at(x.list))
		}
	}
	r := &selfReference{name: c.Ctename}
	r.walk(s.Rarg)
	return r.err
}

func one(n ast.Node) []ast.Node {
	if n == nil {
		return nil
	}
	return []ast.Node{n}
}

// walk looks below n.
func (r *selfReference) walk(n ast.Node) {
	if n == nil || r.err != nil {
		return
	}
	ast.Walk(n, func(n ast.Node) bool {
		if r.err != nil {
			return false
		}
		switch n := n.(type) {
		case *ast.RangeVar:
			r.met(n)
			return false
		case *ast.SubLink:
			r.walk(n.Testexpr)
			r.inside("a subquery", n.Subselect)
			return false
		case *ast.JoinExpr:
			r.join(n)
			return false
		case *ast.SelectStmt:
			return r.selectStmt(n)
		}
		return true
	})
}

func (r *selfReference) inside(what string, n ast.Node) {
	saved := r.within
	if r.within == "" {
		r.within = what
	}
	r.walk(n)
	r.within = saved
}

func (r *selfReference) met(n *ast.RangeVar) {
	if n.Schemaname != "" || n.Relname != r.name {
		return
	}
	bad := r.within
	if bad != "" {
		bad = "within " + bad
	} else if r.count++; r.count > 1 {
		bad = "more than once"
	}
	if bad != "" {
		r.err = types.Errorf(types.CodeInvalidRecursion, "recursive reference to query \"%s\" must not appear %s", r.name, bad).At(position(n.Location))
	}
}

func (r *selfReference) join(n *ast.JoinExpr) {
	arm := func(outer bool, n ast.Node) {
		if outer {
			r.inside("an outer join", n)
		} else {
			r.walk(n)
		}
	}
	arm(n.Jointype == ast.JOIN_RIGHT || n.Jointype == ast.JOIN_FULL, n.Larg)
	arm(n.Jointype == ast.JOIN_LEFT || n.Jointype == ast.JOIN_FULL, n.Rarg)
	r.walk(n.Quals)
}

// selectStmt reports whether the statement is still to be walked as any node is.
func (r *selfReference) selectStmt(n *ast.SelectStmt) bool {
	if n.WithClause != nil {
		for _, x := range n.WithClause.Ctes {
			if c, ok := x.(*ast.CommonTableExpr); ok && c.Ctename == r.name {
				return false // another query of that name hides the outer one
			}
		}
	}
	switch n.Op {
	case ast.SETOP_INTERSECT:
		if n.All {
			r.inside("INTERSECT", n.Larg)
			r.inside("INTERSECT", n.Rarg)
			return false
		}
	case ast.SETOP_EXCEPT:
		if n.All {
			r.inside("EXCEPT", n.Larg)
		} else {
			r.walk(n.Larg)
		}
		r.inside("EXCEPT", n.Rarg)
		return false
	}
	return true
}
