package plan

import (
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/catalog"
)

// properties are the lines below a node's title.
func (e *explainer) properties(n Node) []Note {
	var out []Note
	add := func(name, value string) {
		if value != "" {
			out = append(out, Note{name, value})
		}
	}
	if e.o.Verbose {
		add("Output", e.output(n))
	}
	switch x := n.(type) {
	case *Scan:
		add("Index Cond", e.spans(x.Table, x.Index, x.Spans))
		if x.Partial != nil {
			add("Partial Group Key", e.cols(x.Partial.GroupBy))
			add("Partial Aggregates", e.aggs(x.Partial.Aggs))
		}
		add("Filter", e.scalars(x.Filter, " AND "))
		add("Scan Limit", e.scalar(x.Limit))
		add("Lock", lockText(x.Lock))
	case *PointGet:
		add("Key", e.key(x.Table, x.Index, x.Key))
		add("Filter", e.scalars(x.Filter, " AND "))
		add("Lock", lockText(x.Lock))
	case *IndexFetch:
		add("Filter", e.scalars(x.Filter, " AND "))
		add("Lock", lockText(x.Lock))
	case *VirtualScan:
		for _, q := range x.Eq {
			c, _ := x.Table.Column(q.Column)
			add("Lookup", c.Name+" = "+e.scalar(q.Value))
		}
		add("Filter", e.scalars(x.Filter, " AND "))
	case *Filter:
		add("Filter", e.scalars(x.Conds, " AND "))
	case *FunctionScan:
		add("Function Call", e.scalars(x.Calls, ", "))
	case *ProjectSet:
		add("Calls", e.scalars(x.Calls, ", "))
	case *Sort:
		add("Sort Key", e.keys(x.Keys))
		if x.Prefix > 0 {
			add("Presorted Keys", strconv.Itoa(x.Prefix))
		}
	case *Limit:
		if e.o.Verbose {
			add("Count", e.scalar(x.Count))
			add("Offset", e.scalar(x.Offset))
		}
	case *Distinct:
		add("Group Key", e.cols(x.On))
	case *Aggregate:
		add("Group Key", e.cols(x.GroupBy))
		if e.o.Verbose {
			add("Aggregates", e.aggs(x.Aggs))
		}
	default:
		e.moreProperties(n, add)
	}
	return out
}

func (e *explainer) moreProperties(n Node, add func(name, value string)) {
	switch x := n.(type) {
	case *GroupingSets:
		for _, s := range x.Sets {
			ids := make([]ColID, len(s))
			for i, k := range s {
				ids[i] = x.GroupBy[k]
			}
			add("Group Key", "("+e.cols(ids)+")")
		}
		if e.o.Verbose {
			add("Aggregates", e.aggs(x.Aggs))
		}
	case *Window:
		add("Partition By", e.cols(x.PartitionBy))
		add("Order By", e.keys(x.OrderBy))
		for _, f := range x.Funcs {
			add("Function", e.scalar(f.Call))
		}
	case *HashJoin:
		add("Hash Cond", e.pairs(x.LeftKeys, x.RightKeys))
		add("Join Filter", e.scalars(x.Residual, " AND "))
	case *MergeJoin:
		add("Merge Keys", e.keys(x.LeftKeys)+" = "+e.keys(x.RightKeys))
		add("Join Filter", e.scalars(x.Residual, " AND "))
	case *NestedLoop:
		add("Join Filter", e.scalars(x.On, " AND "))
		add("Mark", e.scalar(x.MarkCond))
	case *LookupJoin:
		add("Key", e.key(x.Table, x.Index, x.Keys))
		add("Join Filter", e.scalars(x.Residual, " AND "))
		add("Lock", lockText(x.Lock))
	case *Apply:
		var ps []string
		for _, p := range x.Params {
			ps = append(ps, "$p"+strconv.Itoa(p.Param)+" = "+e.col(p.Col, "c"+strconv.Itoa(int(p.Col))))
		}
		add("Params", strings.Join(ps, ", "))
		add("Join Filter", e.scalars(x.On, " AND "))
		add("Mark", e.scalar(x.MarkCond))
		add("Guard", e.scalar(x.Guard))
	case *LockRows:
		for _, t := range x.Targets {
			add("Lock", t.Table.Name+" "+lockText(t.Lock))
		}
	case *Mutation:
		e.mutation(x, add)
	}
}

func (e *explainer) mutation(x *Mutation, add func(name, value string)) {
	if !e.o.Verbose {
		return
	}
	set := func(as []Assign) string {
		parts := make([]string, len(as))
		for i, a := range as {
			c, _ := x.Table.Column(a.Column)
			parts[i] = c.Name + " = " + e.scalar(a.Expr)
		}
		return strings.Join(parts, ", ")
	}
	add("Set", set(x.Set))
	add("Generated", set(x.Generated))
	for _, c := range x.Checks {
		add("Check", c.Name+" "+e.scalar(c.Expr))
	}
	if oc := x.Conflict; oc != nil {
		names := make([]string, len(oc.Arbiters))
		for i, a := range oc.Arbiters {
			names[i] = a.Name
		}
		add("Conflict Resolution", [...]string{"NOTHING", "UPDATE", "REPLACE"}[oc.Action])
		add("Conflict Arbiter Indexes", strings.Join(names, ", "))
		add("Conflict Set", set(oc.Set))
		add("Conflict Filter", e.scalars(oc.Where, " AND "))
	}
	add("Returning", e.scalars(x.Returning, ", "))
}

func (e *explainer) output(n Node) string {
	if p, ok := n.(*Project); ok {
		parts := make([]string, len(p.Exprs))
		for i, x := range p.Exprs {
			if parts[i] = e.scalar(x); e.ids {
				parts[i] += " as " + e.col(p.Out[i].ID, p.Out[i].Name)
			}
		}
		return strings.Join(parts, ", ")
	}
	if v, ok := n.(*Values); ok && e.ids {
		rows := make([]string, len(v.Rows))
		for i, r := range v.Rows {
			rows[i] = "(" + e.scalars(r, ", ") + ")"
		}
		return strings.Join(rows, ", ") + " as (" + e.columns(v.Out) + ")"
	}
	return e.columns(n.Columns())
}

func (e *explainer) columns(cols []Column) string {
	parts := make([]string, len(cols))
	for i, c := range cols {
		parts[i] = e.col(c.ID, c.Name)
	}
	return strings.Join(parts, ", ")
}

func (e *explainer) cols(ids []ColID) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = e.col(id, "c"+strconv.Itoa(int(id)))
	}
	return strings.Join(parts, ", ")
}

func (e *explainer) keys(keys []SortKey) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = e.col(k.Col, "c"+strconv.Itoa(int(k.Col))) + direction(k.Desc, k.NullsFirst)
	}
	return strings.Join(parts, ", ")
}

func (e *explainer) aggs(aggs []AggCall) string {
	parts := make([]string, len(aggs))
	for i, a := range aggs {
		if parts[i] = e.scalar(a.Call); e.ids {
			parts[i] += " as " + e.col(a.Out.ID, a.Out.Name)
		}
	}
	return strings.Join(parts, ", ")
}

func (e *explainer) pairs(l, r []Scalar) string {
	parts := make([]string, len(l))
	for i := range l {
		parts[i] = "(" + e.scalar(l[i]) + " = " + e.scalar(r[i]) + ")"
	}
	return strings.Join(parts, " AND ")
}

func keyName(t *catalog.Table, ix *catalog.Index, i int) string {
	if i < len(ix.Columns) {
		if c, ok := t.Column(ix.Columns[i].Column); ok {
			return c.Name
		}
	}
	return "key" + strconv.Itoa(i+1)
}

func (e *explainer) key(t *catalog.Table, ix *catalog.Index, key []Scalar) string {
	parts := make([]string, len(key))
	for i, k := range key {
		parts[i] = "(" + keyName(t, ix, i) + " = " + e.scalar(k) + ")"
	}
	return strings.Join(parts, " AND ")
}

func (e *explainer) spans(t *catalog.Table, ix *catalog.Index, spans []Span) string {
	const most = 8
	var parts []string
	for i, s := range spans {
		if i == most {
			parts = append(parts, "... ("+strconv.Itoa(len(spans))+" spans)")
			break
		}
		parts = append(parts, e.span(t, ix, s))
	}
	return strings.Join(parts, " OR ")
}

func (e *explainer) span(t *catalog.Table, ix *catalog.Index, s Span) string {
	var parts []string
	for i, k := range s.Eq {
		name := keyName(t, ix, i)
		switch {
		case k.Null:
			parts = append(parts, "("+name+" IS NULL)")
		case k.Each:
			parts = append(parts, "("+name+" = ANY ("+e.scalar(k.Value)+"))")
		default:
			parts = append(parts, "("+name+" = "+e.scalar(k.Value)+")")
		}
	}
	name := keyName(t, ix, len(s.Eq))
	bound := func(b *Bound, op string) {
		if b == nil {
			return
		}
		if b.Inclusive {
			op += "="
		}
		parts = append(parts, "("+name+" "+op+" "+e.scalar(b.Value)+")")
	}
	bound(s.Low, ">")
	bound(s.High, "<")
	if s.NotNull {
		parts = append(parts, "("+name+" IS NOT NULL)")
	}
	return strings.Join(parts, " AND ")
}

func lockText(l Locking) string {
	if l.Strength == LockNone {
		return ""
	}
	s := [...]string{"", "FOR KEY SHARE", "FOR SHARE", "FOR NO KEY UPDATE", "FOR UPDATE"}[l.Strength]
	return s + [...]string{"", " SKIP LOCKED", " NOWAIT"}[l.Wait]
}
