package opt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/stats"
	"github.com/pamirdb/pamir/sql/types"
)

// TestPlan runs testdata/plan and testdata/bind. Commands:
//
//	table          DDL
//	stats          table=name rows=n [col=distinct ...]
//	build          the naive plan, with column ids
//	optimize       the optimized plan, as EXPLAIN prints it; costs adds costs
//	template       the optimized plan with the literals lifted out
//	flags          what the plan says about itself
//	describe       parameters and result columns; testdata/bind/postgres holds
//	               what PostgreSQL 15 answers
func TestPlan(t *testing.T) {
	for _, dir := range []string{"../../testdata/plan", "../../testdata/bind"} {
		datadriven.Walk(t, dir, func(t *testing.T, path string) {
			c := newTestCatalog()
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return c.run(t, d) })
		})
	}
}

func (c *testCatalog) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "table":
		c.ddl(t, d.Input)
		return ""
	case "stats":
		return c.setStats(t, d)
	}
	o := options(c)
	if d.Cmd == "describe" {
		return c.describe(d.Input, *o)
	}
	o.Naive = d.Cmd == "build"
	if d.Cmd == "template" {
		p, _ := c.template(d.Input, *o)
		if p == nil {
			return "no template\n"
		}
		return strings.Join(plan.ExplainText(p, plan.ExplainOptions{}, nil), "\n") + "\n" + describe(p)
	}
	p, err := c.prepareIn(d.Input, *o, d.HasArg("mysql"))
	if err != nil {
		return formatError(d.Input, err)
	}
	switch d.Cmd {
	case "build":
		return plan.Format(p.Root)
	case "optimize":
		x := plan.ExplainOptions{Costs: d.HasArg("costs"), Verbose: d.HasArg("verbose")}
		return strings.Join(plan.ExplainText(p, x, nil), "\n") + "\n"
	case "flags":
		return describe(p)
	}
	t.Fatalf("unknown command %s", d.Cmd)
	return ""
}

func (c *testCatalog) prepare(sql string, o Options) (*plan.Plan, error) {
	return c.prepareIn(sql, o, false)
}

func (c *testCatalog) prepareIn(sql string, o Options, mysql bool) (*plan.Plan, error) {
	st, _, err := parse.ParseOne(sql)
	if mysql {
		var all []parse.Statement
		if all, err = parse.ParseMySQL(sql); err == nil {
			st = all[0]
		}
	}
	if err != nil {
		return nil, err
	}
	p, err := Prepare(context.Background(), st.Node, c.resolver(), o)
	if err != nil {
		return nil, err
	}
	if err := plan.Verify(p.Root); err != nil {
		return nil, fmt.Errorf("%w in\n%s", err, plan.Format(p.Root))
	}
	return p, nil
}

// describe plans a statement naively and optimized; both must agree.
func (c *testCatalog) describe(sql string, o Options) string {
	var answers [2]string
	for i := range answers {
		o.Naive = i == 0
		p, err := c.prepare(sql, o)
		if err != nil {
			var e *types.Error
			if !errors.As(err, &e) {
				return "error: " + err.Error() + "\n"
			}
			answers[i] = fmt.Sprintf("ERROR %s: %s @%d\n", e.Code, e.Message, e.Position)
			continue
		}
		var b strings.Builder
		for i, t := range p.Params {
			fmt.Fprintf(&b, "$%d %s\n", i+1, t)
		}
		for _, col := range p.Result {
			fmt.Fprintf(&b, "%s %s", col.Name, col.Type)
			if col.Table != 0 {
				fmt.Fprintf(&b, " attr=%d", col.Attr)
			}
			b.WriteString("\n")
		}
		answers[i] = b.String()
		if t, ok := c.template(sql, o); ok && t != nil && !sameResult(t, p) {
			return "as a template the statement has other columns:\n" + describe(t)
		}
	}
	if answers[0] != answers[1] {
		return "naive and optimized plans differ:\n" + answers[0] + answers[1]
	}
	return answers[0]
}

// template plans a statement with its literals lifted out. A template that
// cannot be bound is no error: the session binds the statement as it is.
func (c *testCatalog) template(sql string, o Options) (*plan.Plan, bool) {
	_, lits, ok := parse.Template(sql, nil, nil)
	if !ok {
		return nil, false
	}
	t, ok, err := parse.ParseTemplate(sql, lits)
	if err != nil || !ok {
		return nil, false
	}
	p, err := Prepare(context.Background(), t.Node, c.resolver(), o)
	if err != nil {
		return nil, true
	}
	if err := plan.Verify(p.Root); err != nil {
		panic(sql + ": " + err.Error())
	}
	return p, true
}

func sameResult(a, b *plan.Plan) bool {
	return slices.Equal(a.Result, b.Result) && slices.Equal(a.Params, b.Params)
}

func formatError(sql string, err error) string {
	var e *types.Error
	if !errors.As(err, &e) {
		return "error: " + err.Error() + "\n"
	}
	s := fmt.Sprintf("ERROR %s: %s\n", e.Code, e.Message)
	if e.Position > 0 {
		s += sql[:min(e.Position-1, len(sql))] + "^" + sql[min(e.Position-1, len(sql)):] + "\n"
	}
	if e.Detail != "" {
		s += "DETAIL: " + e.Detail + "\n"
	}
	if e.Hint != "" {
		s += "HINT: " + e.Hint + "\n"
	}
	return s
}

func describe(p *plan.Plan) string {
	var b strings.Builder
	for i, t := range p.Params {
		fmt.Fprintf(&b, "$%d %s\n", i+1, t)
	}
	for i, l := range p.Literals {
		fmt.Fprintf(&b, "?%d literal %d as %s\n", i+1, l.Index, l.Type)
	}
	for _, c := range p.Result {
		fmt.Fprintf(&b, "%s %s table=%d attr=%d\n", c.Name, c.Type, c.Table, c.Attr)
	}
	f := p.Flags
	for _, x := range []struct {
		on   bool
		name string
	}{{f.ReadOnly, "read-only"}, {f.Generic, "generic"}, {f.Point, "point"}, {f.PointWrite, "point-write"},
		{f.NoSnapshot, "no-snapshot"}, {f.Volatile, "volatile"}, {f.Locking, "locking"}, {f.SettingsBound, "settings"}} {
		if x.on {
			b.WriteString(x.name + " ")
		}
	}
	return strings.TrimSpace(b.String()) + "\n"
}

func (c *testCatalog) setStats(t *testing.T, d *datadriven.TestData) string {
	var name string
	var rows int
	d.ScanArgs(t, "table", &name)
	d.ScanArgs(t, "rows", &rows)
	r, ok := c.resolver().Relation(catalog.Name{Name: name})
	if !ok {
		t.Fatalf("no table %s", name)
	}
	tab := r.(*catalog.Table)
	st := &stats.Table{Rows: float64(rows), AvgWidth: 100, Columns: map[catalog.ColumnID]*stats.Column{}}
	for i := range tab.Columns {
		col := &tab.Columns[i]
		distinct := rows
		if d.HasArg(col.Name) {
			d.ScanArgs(t, col.Name, &distinct)
		}
		st.Columns[col.ID] = &stats.Column{Distinct: float64(distinct), AvgWidth: 8}
	}
	c.stats[tab.ID] = st
	return ""
}
