package schemachange

import (
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// viewOptions checks the options of CREATE VIEW or ALTER VIEW SET, and enters them
// into a list of name=value in the order in which they were given.
func viewOptions(list []string, options []ast.Node) ([]string, error) {
	for _, n := range options {
		d, ok := n.(*ast.DefElem)
		if !ok {
			continue
		}
		value := "true"
		if d.Arg != nil {
			value = defText(d)
		}
		if err := checkViewOption(d.Defname, value); err != nil {
			return nil, err
		}
		list = append(withoutOption(list, d.Defname), d.Defname+"="+value)
	}
	return list, nil
}

func checkViewOption(name, value string) error {
	switch name {
	case "security_barrier", "security_invoker":
		if _, err := types.ParseText(types.BoolType, value, nil); err != nil {
			return types.Errorf(types.CodeInvalidParameterValue, "invalid value for boolean option \"%s\": %s", name, value)
		}
	case "check_option":
		if value != "local" && value != "cascaded" {
			return types.Errorf(types.CodeInvalidParameterValue, "invalid value for enum option \"check_option\": %s", value).
				WithDetail("Valid values are \"local\" and \"cascaded\".")
		}
	default:
		return types.Errorf(types.CodeInvalidParameterValue, "unrecognized parameter \"%s\"", name)
	}
	return nil
}

func withoutOption(list []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(o string) bool { return strings.HasPrefix(o, name+"=") })
}

// setViewOptions gives a view the options of CREATE VIEW. WITH CHECK OPTION is one of
// them, and wants a view that PostgreSQL could write through.
func setViewOptions(v *catalog.View, s *ast.ViewStmt) error {
	options := s.Options
	switch s.WithCheckOption {
	case ast.LOCAL_CHECK_OPTION, ast.CASCADED_CHECK_OPTION:
		value := "local"
		if s.WithCheckOption == ast.CASCADED_CHECK_OPTION {
			value = "cascaded"
		}
		options = append(slices.Clone(options), &ast.DefElem{Defname: "check_option", Arg: &ast.String{Sval: value}})
	}
	var err error
	if v.Options, err = viewOptions(nil, options); err != nil {
		return err
	}
	return checkOptionFits(v.Options, s.Query)
}

// checkOptionFits refuses check_option for a view that nothing is written through.
func checkOptionFits(options []string, query ast.Node) error {
	if !slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(o, "check_option=") }) {
		return nil
	}
	sel, ok := query.(*ast.SelectStmt)
	if !ok {
		return nil
	}
	if reason := bind.NotUpdatable(sel); reason != "" {
		return types.Errorf(types.CodeFeatureNotSupported, "WITH CHECK OPTION is supported only on automatically updatable views").
			WithHint("%s are not automatically updatable.", reason)
	}
	return nil
}

// alterViewOptions carries out ALTER VIEW ... SET or RESET of options.
func (e *Env) alterViewOptions(v *catalog.View, c *ast.AlterTableCmd) error {
	if err := e.mustOwn(&v.Header, "view"); err != nil {
		return err
	}
	v, err := clone(v)
	if err != nil {
		return err
	}
	l, ok := c.Def.(*ast.List)
	if !ok {
		return nil
	}
	if c.Subtype == ast.AT_ResetRelOptions {
		for _, n := range l.Items {
			if d, ok := n.(*ast.DefElem); ok {
				v.Options = withoutOption(v.Options, d.Defname)
			}
		}
	} else if v.Options, err = viewOptions(v.Options, l.Items); err != nil {
		return err
	}
	if e.Bind.ParseView != nil {
		if query, err := e.Bind.ParseView(v.Query); err == nil {
			if err := checkOptionFits(v.Options, query); err != nil {
				return err
			}
		}
	}
	e.Change.Put(v)
	return nil
}
