package bind

import (
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// utility wraps a statement that the session carries out by itself; the query
// within it, if any, is bound.
func (b *binder) utility(stmt ast.Node, query ast.Node) (*Result, error) {
	u := &plan.Utility{Stmt: stmt}
	res := &Result{Root: u, Tag: plan.TagUtility}
	switch s := stmt.(type) {
	case *ast.CreateTableAsStmt:
		query = s.Query
	case *ast.CopyStmt:
		query = s.Query
	case *ast.DeclareCursorStmt:
		query = s.Query
	case *ast.SelectStmt:
		c := *s
		c.IntoClause = nil
		query = &c
	}
	if _, isExecute := query.(*ast.ExecuteStmt); query == nil || isExecute {
		return res, nil
	}
	in, err := b.statement(query)
	if err != nil {
		return nil, err
	}
	u.Input = in.Root
	res.Result = in.Result
	return res, nil
}

// explain binds EXPLAIN. The target is planned later, by whoever owns plans.
func (b *binder) explain(s *ast.ExplainStmt) (*Result, error) {
	o, err := explainOptions(s)
	if err != nil {
		return nil, err
	}
	n := &plan.Explain{Stmt: s.Query, Options: o}
	t := types.TextType
	if o.Format == plan.ExplainAsJSON {
		t = types.JSONType
	}
	id := b.newCol("QUERY PLAN", t)
	n.Out = []plan.Column{{ID: id, Name: "QUERY PLAN", Type: t}}
	return &Result{Root: n, Tag: plan.TagExplain, Result: []plan.ResultColumn{{Name: "QUERY PLAN", Type: t}}}, nil
}

func explainOptions(s *ast.ExplainStmt) (plan.ExplainOptions, error) {
	o := plan.ExplainOptions{Costs: true, Timing: true}
	summary := false
	for _, n := range s.Options {
		d, ok := n.(*ast.DefElem)
		if !ok {
			continue
		}
		on := defBool(d)
		switch strings.ToLower(d.Defname) {
		case "analyze":
			o.Analyze = on
		case "verbose":
			o.Verbose = on
		case "costs":
			o.Costs = on
		case "buffers":
			o.Buffers = on
		case "timing":
			o.Timing = on
		case "summary":
			o.Summary, summary = on, true
		case "wal", "settings":
		case "format":
			switch strings.ToLower(defString(d)) {
			case "text":
			case "json":
				o.Format = plan.ExplainAsJSON
			default:
				return o, types.Errorf(types.CodeInvalidParameterValue, "unrecognized value for EXPLAIN option \"format\": \"%s\"", defString(d)).At(position(d.Location))
			}
		default:
			return o, types.Errorf(types.CodeSyntaxError, "unrecognized EXPLAIN option \"%s\"", d.Defname).At(position(d.Location))
		}
	}
	if !summary {
		o.Summary = o.Analyze
	}
	return o, nil
}

func defString(d *ast.DefElem) string {
	switch v := d.Arg.(type) {
	case *ast.String:
		return v.Sval
	case *ast.Integer:
		return itoa(int(v.Ival))
	case *ast.Boolean:
		if v.Boolval {
			return "true"
		}
		return "false"
	}
	return ""
}

func defBool(d *ast.DefElem) bool {
	if d.Arg == nil {
		return true
	}
	switch strings.ToLower(defString(d)) {
	case "false", "off", "0":
		return false
	}
	return true
}
