package pgfacts

import (
	"strings"
	"sync"

	"github.com/pamirdb/pamir/sql/types"
)

// Proc is a row of pg_proc.
type Proc struct {
	OID       types.OID
	Name      string
	Lang      types.OID
	Variadic  types.OID // element type of the variadic argument, AnyOID for "any", 0 for none
	Kind      byte      // f function, a aggregate, w window, p procedure
	Strict    bool
	RetSet    bool
	Volatile  byte // i immutable, s stable, v volatile
	NArgs     int
	NDefaults int
	Ret       types.OID
	Args      []types.OID
	AllArgs   []types.OID // with OUT arguments; nil if there are none
	ArgModes  string      // parallel to AllArgs
	ArgNames  []string
	Defaults  string // SQL text of the trailing defaults
	Src       string
}

// Operator is a row of pg_operator.
type Operator struct {
	OID        types.OID
	Name       string
	Prefix     bool
	CanMerge   bool
	CanHash    bool
	Left       types.OID
	Right      types.OID
	Result     types.OID
	Commutator types.OID
	Negator    types.OID
	Func       types.OID
	Rest, Join types.OID // selectivity estimators
}

// Cast is a row of pg_cast.
type Cast struct {
	OID     types.OID
	Source  types.OID
	Target  types.OID
	Func    types.OID // 0 for binary and I/O casts
	Context byte      // i implicit, a assignment, e explicit
	Method  byte      // f function, i I/O, b binary
}

// Aggregate is a row of pg_aggregate.
type Aggregate struct {
	Func       types.OID
	Kind       byte // n normal, o ordered-set, h hypothetical-set
	NumDirect  int
	TransFunc  types.OID
	FinalFunc  types.OID
	SortOp     types.OID
	TransType  types.OID
	InitVal    string
	HasInitVal bool
}

type facts struct {
	procs      []Proc
	procByOID  map[types.OID]*Proc
	procByName map[string][]*Proc
	ops        []Operator
	opByOID    map[types.OID]*Operator
	opByName   map[string][]*Operator
	casts      map[[2]types.OID]*Cast
	castsFrom  map[types.OID][]*Cast
	aggs       map[types.OID]*Aggregate
}

var (
	factsOnce sync.Once
	theFacts  facts
)

func get() *facts {
	factsOnce.Do(func() { theFacts.load() })
	return &theFacts
}

// Preload parses the facts that resolution needs, for a start-up that wants to
// pay in the background.
func Preload() { get() }

func (f *facts) load() {
	f.loadProcs()
	f.loadOperators()
	f.loadCasts()
	f.loadAggregates()
}

func (f *facts) loadProcs() {
	ls := lines("pg_proc").lines
	f.procs = make([]Proc, len(ls))
	f.procByOID = make(map[types.OID]*Proc, len(ls))
	f.procByName = make(map[string][]*Proc, len(ls))
	for i, l := range ls {
		p, r := &f.procs[i], rowReader{l}
		p.OID, p.Name = r.oid(), r.text()
		r.skip(2)
		p.Lang = r.oid()
		r.skip(2)
		p.Variadic = r.oid()
		r.skip(1)
		p.Kind = r.char()
		r.skip(2)
		p.Strict, p.RetSet, p.Volatile = r.bool(), r.bool(), r.char()
		r.skip(1)
		p.NArgs, p.NDefaults, p.Ret = r.int(), r.int(), r.oid()
		p.Args, p.AllArgs = r.oids(), r.oids()
		p.ArgModes = strings.NewReplacer("{", "", "}", "", ",", "").Replace(r.text())
		p.ArgNames, p.Defaults = r.names(), r.text()
		r.skip(1)
		p.Src = r.text()
		f.procByOID[p.OID] = p
		f.procByName[p.Name] = append(f.procByName[p.Name], p)
	}
}

func (f *facts) loadOperators() {
	ls := lines("pg_operator").lines
	f.ops = make([]Operator, len(ls))
	f.opByOID = make(map[types.OID]*Operator, len(ls))
	f.opByName = make(map[string][]*Operator, 200)
	for i, l := range ls {
		o, r := &f.ops[i], rowReader{l}
		o.OID, o.Name = r.oid(), r.text()
		r.skip(2)
		o.Prefix = r.char() == 'l'
		o.CanMerge, o.CanHash = r.bool(), r.bool()
		o.Left, o.Right, o.Result = r.oid(), r.oid(), r.oid()
		o.Commutator, o.Negator, o.Func = r.oid(), r.oid(), r.oid()
		o.Rest, o.Join = r.oid(), r.oid()
		f.opByOID[o.OID] = o
		f.opByName[o.Name] = append(f.opByName[o.Name], o)
	}
}

func (f *facts) loadCasts() {
	ls := lines("pg_cast").lines
	all := make([]Cast, len(ls))
	f.casts = make(map[[2]types.OID]*Cast, len(ls))
	f.castsFrom = make(map[types.OID][]*Cast)
	for i, l := range ls {
		c, r := &all[i], rowReader{l}
		c.OID, c.Source, c.Target, c.Func = r.oid(), r.oid(), r.oid(), r.oid()
		c.Context, c.Method = r.char(), r.char()
		f.casts[[2]types.OID{c.Source, c.Target}] = c
		f.castsFrom[c.Source] = append(f.castsFrom[c.Source], c)
	}
}

func (f *facts) loadAggregates() {
	ls := lines("pg_aggregate").lines
	all := make([]Aggregate, len(ls))
	f.aggs = make(map[types.OID]*Aggregate, len(ls))
	for i, l := range ls {
		a, r := &all[i], rowReader{l}
		a.Func, a.Kind, a.NumDirect = r.oid(), r.char(), r.int()
		a.TransFunc, a.FinalFunc = r.oid(), r.oid()
		r.skip(10)
		a.SortOp, a.TransType = r.oid(), r.oid()
		r.skip(3)
		a.HasInitVal = !strings.HasPrefix(r.rest, `\N`)
		a.InitVal = r.text()
		f.aggs[a.Func] = a
	}
}

// ProcByOID returns a function by oid.
func ProcByOID(oid types.OID) (*Proc, bool) {
	p, ok := get().procByOID[oid]
	return p, ok
}

// ProcsByName returns the overloads of a function.
func ProcsByName(name string) []*Proc { return get().procByName[name] }

// Procs calls f for every function in the order of oids.
func Procs(f func(*Proc)) {
	t := get()
	for i := range t.procs {
		f(&t.procs[i])
	}
}

// OperatorByOID returns an operator by oid.
func OperatorByOID(oid types.OID) (*Operator, bool) {
	o, ok := get().opByOID[oid]
	return o, ok
}

// OperatorsByName returns the overloads of an operator.
func OperatorsByName(name string) []*Operator { return get().opByName[name] }

// Operators calls f for every operator in the order of oids.
func Operators(f func(*Operator)) {
	t := get()
	for i := range t.ops {
		f(&t.ops[i])
	}
}

// LookupOperator returns the operator with exactly these argument types; left
// is 0 for a prefix operator.
func LookupOperator(name string, left, right types.OID) (*Operator, bool) {
	for _, o := range OperatorsByName(name) {
		if o.Left == left && o.Right == right {
			return o, true
		}
	}
	return nil, false
}

// LookupCast returns the row of pg_cast for a pair of types.
func LookupCast(source, target types.OID) (*Cast, bool) {
	c, ok := get().casts[[2]types.OID{source, target}]
	return c, ok
}

// AggregateByOID returns the aggregate facts of a function.
func AggregateByOID(fn types.OID) (*Aggregate, bool) {
	a, ok := get().aggs[fn]
	return a, ok
}
