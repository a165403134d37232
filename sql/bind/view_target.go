package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// viewTarget says why a view cannot be written to. PostgreSQL writes through
// plain views of one table, which Pamir does not.
func (b *binder) viewTarget(v *catalog.View, name, verb string) error {
	reason := ""
	if n, err := b.opts.ParseView(v.Query); err == nil {
		if s, ok := n.(*ast.SelectStmt); ok {
			reason = NotUpdatable(s)
		}
	}
	if reason == "" {
		return types.Errorf(types.CodeFeatureNotSupported, "cannot %s view \"%s\": writing through views is not supported", verb, name).
			WithHint("Name the table that the view selects from.")
	}
	words := map[string][2]string{"insert into": {"inserting into", "INSERT"}, "update": {"updating", "UPDATE"}, "delete from": {"deleting from", "DELETE"}}[verb]
	return types.Errorf(types.CodeObjectNotInPrerequisite, "cannot %s view \"%s\"", verb, name).
		WithDetail("%s are not automatically updatable.", reason).
		WithHint("To enable %s the view, provide an INSTEAD OF %s trigger or an unconditional ON %s DO INSTEAD rule.", words[0], words[1], words[1])
}

// NotUpdatable names what keeps PostgreSQL from writing through a view, if
// anything does.
func NotUpdatable(s *ast.SelectStmt) string {
	switch {
	case len(s.DistinctClause) > 0:
		return "Views containing DISTINCT"
	case len(s.GroupClause) > 0:
		return "Views containing GROUP BY"
	case s.HavingClause != nil:
		return "Views containing HAVING"
	case s.Larg != nil:
		return "Views containing UNION, INTERSECT, or EXCEPT"
	case s.WithClause != nil:
		return "Views containing WITH"
	case s.LimitCount != nil || s.LimitOffset != nil:
		return "Views containing LIMIT or OFFSET"
	}
	if what := returns(s.TargetList); what != "" {
		return "Views that return " + what
	}
	if len(s.FromClause) != 1 {
		return "Views that do not select from a single table or view"
	}
	if _, ok := s.FromClause[0].(*ast.RangeVar); !ok {
		return "Views that do not select from a single table or view"
	}
	return ""
}

// returns names the kind of function in a select list that gives rows which are
// no table's.
func returns(targets []ast.Node) string {
	var agg, window, set bool
	for _, t := range targets {
		ast.Walk(t, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.SubLink:
				return false
			case *ast.FuncCall:
				if x.Over != nil {
					window = true
				} else if names := stringsOf(x.Funcname); len(names) > 0 {
					for _, p := range pgfacts.ProcsByName(names[len(names)-1]) {
						agg, set = agg || p.Kind == 'a', set || p.RetSet
					}
				}
			}
			return true
		})
	}
	switch {
	case agg:
		return "aggregate functions"
	case window:
		return "window functions"
	case set:
		return "set-returning functions"
	}
	return ""
}
