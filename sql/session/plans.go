package session

import (
	"context"
	"errors"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/exec"
	"github.com/pamirdb/pamir/sql/opt"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

// sessionPlan is a plan with the operators that this session runs it with.
type sessionPlan struct {
	*planEntry
	idle []*exec.Instance
}

// take returns an instance that nobody uses.
func (p *sessionPlan) take() (*exec.Instance, error) {
	if n := len(p.idle); n > 0 {
		in := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return in, nil
	}
	return exec.Build(p.plan)
}

// give returns an instance after use.
func (p *sessionPlan) give(in *exec.Instance) {
	in.Finish()
	if len(p.idle) < 4 {
		p.idle = append(p.idle, in)
	}
}

// maxSessionPlans bounds what a session keeps; a full cache is dropped.
const maxSessionPlans = 256

// planKey begins the key of a plan: everything but the text that a plan depends
// on.
func (s *Session) planKey(b []byte) []byte {
	s.follow()
	if s.prefix == nil {
		p := make([]byte, 0, 128)
		p = append(p, s.database.Name...)
		p = append(p, 0)
		p = append(p, s.userName...)
		for _, n := range []string{"search_path", "DateStyle", "TimeZone", "IntervalStyle", "sql_dialect"} {
			v, _ := s.set.Get(n)
			p = append(append(p, 0), v...)
		}
		s.prefix = append(append(append(p, 0), s.temp.schema...), 0)
	}
	return append(b, s.prefix...)
}

// follow forgets what was derived from settings that have changed since.
func (s *Session) follow() {
	if s.set.Version() != s.prefixAt {
		s.identify()
		s.pathSetting, _ = s.set.Get("search_path")
		s.prefix, s.resolver, s.prefixAt = nil, nil, s.set.Version()
	}
}

// resolve returns a resolver over the catalog as it is now for this session.
func (s *Session) resolve() *catalog.SessionResolver {
	s.follow()
	snap := s.snapshot()
	if s.resolver == nil || s.resolver.Snapshot() != snap {
		s.resolver = catalog.NewSessionResolver(snap, s.databaseIn(snap), s.searchPath(), s.t.change == nil || s.t.change.Empty())
		s.schema = ""
		if sc, ok := s.resolver.CreationSchema(); ok {
			s.schema = sc.Name
		}
	}
	return s.resolver
}

// databaseIn finds the session's database in a snapshot: it may have changed.
func (s *Session) databaseIn(snap *catalog.Snapshot) *catalog.Database {
	if d, ok := snap.ByOID(s.database.ID); ok {
		if db, ok := d.(*catalog.Database); ok {
			return db
		}
	}
	return s.database
}

func (s *Session) searchPath() []string {
	path := s.set.SearchPath()
	out := make([]string, 0, len(path)+1)
	if s.temp.schema != "" {
		out = append(out, s.temp.schema)
	}
	for _, p := range path {
		if p == "$user" {
			p = s.userName
		}
		out = append(out, p)
	}
	return out
}

func (s *Session) bindOptions() bind.Options {
	st := s.set.Types()
	return bind.Options{ParseView: parseView, Allow: s.allow, Input: func(t types.Type, text string) (types.Datum, error) {
		return types.ParseText(t, text, st)
	}}
}

func parseView(query string) (ast.Node, error) {
	st, _, err := parse.ParseOne(query)
	return st.Node, err
}

// makePlan plans a statement under the current catalog, with parameters of some
// types or of types that are inferred.
func (s *Session) makePlan(ctx context.Context, n ast.Node, params []types.Type) (*plan.Plan, error) {
	return s.planWith(ctx, n, opt.Options{Params: params})
}

// makePlanAlone plans a statement that has no parameters.
func (s *Session) makePlanAlone(ctx context.Context, n ast.Node) (*plan.Plan, error) {
	return s.planWith(ctx, n, opt.Options{NoParams: true})
}

func (s *Session) planWith(ctx context.Context, n ast.Node, o opt.Options) (*plan.Plan, error) {
	for {
		p, err := s.planOnce(ctx, n, o)
		if !errors.Is(err, errWriteLocked) {
			return p, err
		}
		if err := s.awaitWriters(ctx); err != nil {
			return nil, err
		}
	}
}

func (s *Session) planOnce(ctx context.Context, n ast.Node, o opt.Options) (*plan.Plan, error) {
	o.Settings, o.ParseView, o.Allow = s.set.Types(), parseView, s.allow
	o.Stats, o.Naive = s.srv.store.Stats, s.srv.cfg.Naive
	return opt.Prepare(ctx, n, s.resolve(), o)
}

// current reports whether a plan may be used now: in the transaction, or in the
// next one.
func (s *Session) current(e *planEntry) bool {
	if s.follow(); e.role != s.user || e.path != s.pathSetting {
		return false
	}
	snap := s.srv.store.Snapshot()
	if s.t.use.Valid() {
		snap = s.t.use.Snapshot()
	}
	return e.gen == snap.Generation() && e.epoch == s.srv.store.StatsEpoch()
}

// cached finds a plan by its key, among the session's own first.
func (s *Session) cached(key []byte) *sessionPlan {
	if s.t.change != nil {
		return nil
	}
	if p := s.plans[string(key)]; p != nil {
		if s.current(p.planEntry) {
			return p
		}
		delete(s.plans, string(key))
	}
	e := s.srv.lookupPlan(key)
	if e == nil || !s.current(e) {
		return nil
	}
	return s.keep(e)
}

func (s *Session) keep(e *planEntry) *sessionPlan {
	if len(s.plans) >= maxSessionPlans {
		clear(s.plans)
	}
	p := &sessionPlan{planEntry: e}
	s.plans[e.key] = p
	return p
}

// newEntry wraps a plan; one that may be shared goes into the caches.
func (s *Session) newEntry(key []byte, p *plan.Plan, negated []bool, sql string) *sessionPlan {
	e := &planEntry{plan: p, negated: negated, stats: s.srv.stats.Find(parse.Normalize(sql), s.database.Name), gen: s.t.use.Snapshot().Generation(),
		epoch: s.srv.store.StatsEpoch(), role: s.user, path: s.pathSetting}
	if key == nil || p.Flags.Uncacheable || s.t.change != nil {
		return &sessionPlan{planEntry: e}
	}
	e.key, e.choice = string(key), newChoice(p)
	s.srv.keepPlan(e)
	return s.keep(e)
}

// plannable reports whether a statement has a plan; others are utilities.
func plannable(n ast.Node) bool {
	switch x := n.(type) {
	case *ast.SelectStmt:
		return x.IntoClause == nil
	case *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt:
		return true
	}
	return false
}

// templatePlan makes a plan of a statement with its literals lifted out. ok is
// false if the statement has to be taken as it is.
func (s *Session) templatePlan(sql string, key []byte, lits []parse.Literal) (p *sessionPlan, ok bool) {
	if s.dialect() != "postgres" {
		return nil, false
	}
	t, ok, err := parse.ParseTemplate(sql, lits)
	if !ok || err != nil || !plannable(t.Node) {
		return nil, false
	}
	pl, err := s.makePlanAlone(s.ctx, t.Node)
	if err != nil {
		return nil, false
	}
	return s.newEntry(key, pl, t.Negated, sql), true
}

// literals reads the values of a plan's lifted literals.
func (s *Session) literals(dst []types.Datum, p *planEntry, sql string, lits []parse.Literal) ([]types.Datum, error) {
	for _, l := range p.plan.Literals {
		d, err := s.literal(&lits[l.Index], l.Type, sql, p.negated[l.Index])
		if err != nil {
			return dst, err
		}
		dst = append(dst, d)
	}
	return dst, nil
}

func (s *Session) literal(l *parse.Literal, t types.Type, sql string, negated bool) (types.Datum, error) {
	if (l.Class == ast.ClassInt4 || l.Class == ast.ClassInt8) && types.IsIntegerLike(t.OID) {
		v := l.Int(sql)
		if negated {
			v = -v
		}
		return types.NewInt(v), nil
	}
	text := l.Text(sql)
	if l.Class == ast.ClassUnknown && (t.OID == types.TextOID || t.OID == types.UnknownOID) {
		return types.NewString(strings.Clone(text)), nil
	}
	if negated {
		text = "-" + text
	}
	d, err := types.ParseText(t, text, s.set.Types())
	if e, ok := err.(*types.Error); ok {
		return d, e.At(parse.CharPosition(sql, l.Start))
	}
	return d, err
}

func (s *Session) dialect() string { return s.set.Dialect() }
