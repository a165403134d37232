package session

import (
	"sync"
	"sync/atomic"

	"github.com/pamirdb/pamir/sql/opt"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// A cached plan is generic: it knows neither a template's literals nor a prepared
// statement's parameters, and guesses how many rows they leave. A wrong guess
// costs nothing where a key is looked up, and everything where a table is read.
// So a plan that looks costly is made anew for the values at hand, a custom plan.
// PostgreSQL does that five times and then compares estimated costs, but those of
// the generic plan are the very guesses that may be wrong; here it is the shape of
// the plans that is compared. Custom plans of the generic plan's shape show that
// the values do not matter. That is relied on only where planning would be a
// noticeable part of the work.
const (
	customTries   = 5
	customMinCost = 1000  // a generic plan below this runs about as long as planning takes
	customMaxCost = 50000 // custom plans above this take so long that planning does not count
)

// choice is what is known of a generic plan against custom ones. Sessions share
// it.
type choice struct {
	generic atomic.Bool // no custom plans (any more); it stays
	shape   uint64
	mu      sync.Mutex // guards what follows
	tries   int
	differ  bool
	cost    float64
}

// newChoice looks at a generic plan.
func newChoice(p *plan.Plan) *choice {
	c := &choice{}
	c.generic.Store(true)
	if len(p.Literals)+len(p.Params) > 0 && p.Root.Common().Est.TotalCost >= customMinCost && opt.ReadsTables(p) {
		c.shape = opt.Shape(p)
		c.generic.Store(false)
	}
	return c
}

// wanted reports whether the next execution should have a plan of its own.
func (c *choice) wanted() bool {
	return c != nil && !c.generic.Load()
}

// note learns from a custom plan.
func (c *choice) note(p *plan.Plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tries >= customTries {
		return
	}
	c.tries++
	c.cost += p.Root.Common().Est.TotalCost
	c.differ = c.differ || opt.Shape(p) != c.shape
	if c.tries == customTries && !c.differ && c.cost < customTries*customMaxCost {
		c.generic.Store(true)
	}
}

// customTemplate plans a statement with its literals where they stand. It returns
// nil if that fails: the generic plan then says what is wrong.
func (s *Session) customTemplate(generic *planEntry, sql string) (*sessionPlan, func() (*sessionPlan, error)) {
	all, err := parse.Parse(sql)
	if err != nil || len(all) != 1 || !plannable(all[0].Node) {
		return nil, nil
	}
	again := func() (*sessionPlan, error) {
		p, err := s.makePlanAlone(s.ctx, all[0].Node)
		if err != nil {
			return nil, inText(err, sql)
		}
		return s.newEntry(nil, p, nil, sql), nil
	}
	p, err := again()
	if err != nil || !sameColumns(p.plan.Result, generic.plan.Result) {
		return nil, nil
	}
	generic.choice.note(p.plan)
	return p, again
}

// customPrepared plans a prepared statement for the values of its parameters; nil
// if the generic plan is to be used. The settings are those that the statement was
// prepared under: they say what its literals mean.
func (s *Session) customPrepared(p *prepared, values []types.Datum) *sessionPlan {
	if p.st.Node == nil {
		all, err := s.parseString(p.sql)
		if err != nil || len(all) != 1 {
			return nil
		}
		p.st = all[0]
	}
	pl, err := s.planWith(s.ctx, p.st.Node, opt.Options{Params: p.declared, Values: values})
	if err != nil || !sameColumns(pl.Result, p.plan.plan.Result) {
		return nil
	}
	p.plan.choice.note(pl)
	return s.newEntry(nil, pl, nil, p.sql)
}
