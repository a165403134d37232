package session

import (
	"testing"

	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/plan"
)

// scanPlan is a plan of one scan over an index, with a literal.
func scanPlan(index int, cost float64) *plan.Plan {
	t := &catalog.Table{Indexes: []catalog.Index{{OID: 1}, {OID: 2}}}
	s := &plan.Scan{Table: t, Index: &t.Indexes[index]}
	s.Est.TotalCost = cost
	return &plan.Plan{Root: s, Literals: make([]plan.Literal, 1)}
}

// Custom plans are made until they have shown that the values do not matter.
func TestPlanChoice(t *testing.T) {
	settle := func(generic, custom *plan.Plan) (tries int) {
		c := newChoice(generic)
		for c.wanted() && tries < 20 {
			c.note(custom)
			tries++
		}
		return tries
	}
	for _, x := range []struct {
		name            string
		generic, custom *plan.Plan
		tries           int
	}{
		{"cheap", scanPlan(0, 20), scanPlan(1, 20), 0},
		{"alike", scanPlan(0, 5000), scanPlan(0, 300), customTries},
		{"alike and long", scanPlan(0, 5000), scanPlan(0, 1e6), 20},
		{"different", scanPlan(0, 5000), scanPlan(1, 300), 20},
	} {
		if got := settle(x.generic, x.custom); got != x.tries {
			t.Errorf("%s: %d custom plans, want %d", x.name, got, x.tries)
		}
	}
	var none *choice
	if none.wanted() {
		t.Error("a plan that is not shared wants custom ones")
	}
}
