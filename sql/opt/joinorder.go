package opt

import (
	"math"
	"math/bits"

	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/plan"
)

// maxExhaustive is the number of relations up to which all join orders are
// looked at; beyond, the order is built greedily.
const maxExhaustive = 8

// orderJoins reorders every maximal tree of inner joins by cost.
func (c *optimizer) orderJoins(n plan.Node) plan.Node {
	if j, ok := n.(*plan.NestedLoop); ok && (j.Type == plan.InnerJoin || isExists(j)) {
		g := &joinGraph{c: c}
		g.flatten(j)
		for i := range g.rels {
			g.rels[i] = c.orderJoins(g.rels[i])
		}
		for i := range g.exists {
			g.exists[i].right = c.orderJoins(g.exists[i].right)
		}
		return g.best()
	}
	plan.MapInputs(n, c.orderJoins)
	return n
}

// joinGraph is a set of relations with the conditions among them.
type joinGraph struct {
	c     *optimizer
	rels  []plan.Node
	outs  []plan.ColSet
	rows  []float64
	costs []float64
	conds []joinCond
	// exists are the semi and anti joins that were met on the way.
	exists []existsJoin
	memo   map[uint64]*joinPlan
	known  classes   // what the conditions placed so far make equal
	sels   []float64 // scratch
}

// joinCond is a condition with the relations that it names.
type joinCond struct {
	e    expr.Expr
	rels uint64
	sel  float64
	eq   bool
	// class numbers the equalities between columns that follow from each other; 0
	// for other conditions.
	class int
}

// joinPlan is the best way found to join a set of relations.
type joinPlan struct {
	set         uint64
	left, right *joinPlan
	rel         int
	rows, cost  float64
}

func (g *joinGraph) flatten(n plan.Node) {
	if j, ok := n.(*plan.NestedLoop); ok && j.Type == plan.InnerJoin {
		g.flatten(j.Left)
		g.flatten(j.Right)
		for _, e := range j.On {
			g.conds = append(g.conds, joinCond{e: e})
		}
		return
	}
	if j, ok := n.(*plan.NestedLoop); ok && isExists(j) {
		g.flatten(j.Left)
		g.exists = append(g.exists, existsJoin{typ: j.Type, right: j.Right, on: j.On})
		return
	}
	g.rels = append(g.rels, n)
}

func (g *joinGraph) best() plan.Node {
	if len(g.rels) > 62 {
		return g.atTop(g.asWritten())
	}
	for _, r := range g.rels {
		g.c.estimate(r)
		g.outs = append(g.outs, plan.OutputOf(r))
		g.rows = append(g.rows, math.Max(r.Common().Est.Rows, 1))
		g.costs = append(g.costs, r.Common().Est.TotalCost)
	}
	g.closeEqualities()
	for i := range g.conds {
		k := &g.conds[i]
		for r, out := range g.outs {
			if out.Touches(k.e) {
				k.rels |= 1 << r
			}
		}
		_, k.eq = asEquality(k.e)
		k.sel = g.c.acrossSel([]expr.Expr{k.e}, g.outs...)
	}
	g.classify()
	if n := g.placeExists(); n != nil {
		return n
	}
	return g.atTop(g.build(g.search()))
}

// search finds the order.
func (g *joinGraph) search() *joinPlan {
	if len(g.rels) <= maxExhaustive {
		return g.exhaustive()
	}
	return g.greedy()
}

// asWritten joins from left to right.
func (g *joinGraph) asWritten() plan.Node {
	n := g.rels[0]
	for _, r := range g.rels[1:] {
		n = &plan.NestedLoop{Base: plan.Base{Out: joinOut(plan.InnerJoin, n, r, nil, 0)}, Left: n, Right: r}
	}
	var conds []expr.Expr
	for _, k := range g.conds {
		conds = append(conds, k.e)
	}
	return filter(n, conds)
}

// closeEqualities adds what follows from `a = b AND b = c`: it lets a and c be
// joined first. The additions do not change selectivity estimates of whole
// joins much, for each relation pair uses one of them only.
func (g *joinGraph) closeEqualities() {
	type pair struct{ a, b expr.ColID }
	have := make(map[pair]bool)
	var eqs []equality
	for _, k := range g.conds {
		q, ok := asEquality(k.e)
		if !ok {
			continue
		}
		a, aok := q.left.(*expr.ColumnRef)
		b, bok := q.right.(*expr.ColumnRef)
		if aok && bok && a.Typ == b.Typ {
			eqs = append(eqs, q)
			have[pair{a.ID, b.ID}], have[pair{b.ID, a.ID}] = true, true
		}
	}
	const most = 16
	if len(eqs) > most {
		return
	}
	for i := 0; i < len(eqs); i++ {
		for j := 0; j < i; j++ {
			for _, ends := range [2][2]expr.Expr{
				{other(eqs[i], eqs[j].left), eqs[j].right}, {other(eqs[i], eqs[j].right), eqs[j].left},
			} {
				if ends[0] == nil {
					continue
				}
				a, b := ends[0].(*expr.ColumnRef), ends[1].(*expr.ColumnRef)
				if a.ID == b.ID || have[pair{a.ID, b.ID}] || g.sameRel(a.ID, b.ID) {
					continue
				}
				op := *eqs[i].op
				op.Args = []expr.Expr{a, b}
				have[pair{a.ID, b.ID}], have[pair{b.ID, a.ID}] = true, true
				eqs = append(eqs, equality{a, b, &op})
				g.conds = append(g.conds, joinCond{e: &op})
			}
		}
		if len(eqs) > 4*most {
			return
		}
	}
}

// other returns the other side of an equality one side of which is column e.
func other(q equality, e expr.Expr) expr.Expr {
	c := e.(*expr.ColumnRef)
	switch {
	case q.left.(*expr.ColumnRef).ID == c.ID:
		return q.right
	case q.right.(*expr.ColumnRef).ID == c.ID:
		return q.left
	}
	return nil
}

func (g *joinGraph) sameRel(a, b expr.ColID) bool {
	for _, o := range g.outs {
		if o.Has(a) && o.Has(b) {
			return true
		}
	}
	return false
}

func (g *joinGraph) leaf(i int) *joinPlan {
	return &joinPlan{set: 1 << i, rel: i, rows: g.rows[i], cost: g.costs[i]}
}

// exhaustive looks at all trees, sets in the order of their numbers so that
// subsets come first.
func (g *joinGraph) exhaustive() *joinPlan {
	n := len(g.rels)
	g.memo = make(map[uint64]*joinPlan, 1<<n)
	for i := range g.rels {
		g.memo[1<<i] = g.leaf(i)
	}
	for set := uint64(3); set < 1<<n; set++ {
		if bits.OnesCount64(set) < 2 {
			continue
		}
		if p := g.split(set, true); p != nil {
			g.memo[set] = p
		}
	}
	all := uint64(1)<<n - 1
	if g.memo[all] == nil {
		// Some relations share no condition: products are needed.
		for set := uint64(3); set <= all; set++ {
			if g.memo[set] == nil && bits.OnesCount64(set) > 1 {
				g.memo[set] = g.split(set, false)
			}
		}
	}
	return g.memo[all]
}

// split finds the cheapest way to make a set of two smaller ones.
func (g *joinGraph) split(set uint64, connected bool) *joinPlan {
	var best *joinPlan
	for l := (set - 1) & set; l > 0; l = (l - 1) & set {
		r := set &^ l
		if l < r {
			continue // the other order is looked at by combine
		}
		a, b := g.memo[l], g.memo[r]
		if a == nil || b == nil || connected && !g.connected(l, r) {
			continue
		}
		if p := g.combine(a, b); best == nil || p.cost < best.cost {
			best = p
		}
	}
	return best
}

func (g *joinGraph) connected(l, r uint64) bool {
	for i := range g.conds {
		if k := g.conds[i].rels; k&l != 0 && k&r != 0 && k&^(l|r) == 0 {
			return true
		}
	}
	return false
}

// combine joins two plans, the one that is built on the right.
func (g *joinGraph) combine(a, b *joinPlan) *joinPlan {
	set := a.set | b.set
	sel, eq := 1.0, false
	eqs := g.sels[:0]
	var classes uint64
	for i := range g.conds {
		k := &g.conds[i]
		if k.rels&a.set == 0 || k.rels&b.set == 0 || k.rels&^set != 0 {
			continue
		}
		if k.eq {
			eq = true
			// One of the equalities that follow from each other is all that they say.
			if k.class > 0 && k.class < 64 {
				if classes&(1<<k.class) != 0 {
					continue
				}
				classes |= 1 << k.class
			}
			eqs = append(eqs, k.sel)
			continue
		}
		sel *= k.sel
	}
	g.sels = eqs
	rows := math.Max(a.rows*b.rows*sel*together(eqs), 1e-3)
	if a.rows < b.rows {
		a, b = b, a
	}
	p := &joinPlan{set: set, left: a, right: b, rows: rows}
	switch {
	case eq:
		p.cost = a.cost + b.cost + a.rows*costHash + b.rows*costHash*2 + rows*0.05
		if c, ok := g.lookupCost(a, b, rows); ok && c < p.cost {
			p.cost = c
		}
		if c, ok := g.lookupCost(b, a, rows); ok && c < p.cost {
			p.cost, p.left, p.right = c, b, a
		}
	default:
		p.cost = a.cost + b.cost + a.rows*b.rows*costCompare
	}
	return p
}

// lookupCost estimates reading inner, a table, by an index for each outer row.
func (g *joinGraph) lookupCost(outer, inner *joinPlan, rows float64) (float64, bool) {
	if inner.left != nil {
		return 0, false
	}
	s, ok := g.rels[inner.rel].(*plan.Scan)
	if !ok {
		return 0, false
	}
	for i := range g.conds {
		k := &g.conds[i]
		if !k.eq || k.rels&inner.set == 0 || k.rels&outer.set == 0 || k.rels&^(outer.set|inner.set) != 0 {
			continue
		}
		q, _ := asEquality(k.e)
		side := q.left
		if !g.outs[inner.rel].Touches(side) {
			side = q.right
		}
		col, ok := stripRelabel(side).(*expr.ColumnRef)
		if !ok {
			continue
		}
		for j, o := range s.Out {
			if o.ID != col.ID {
				continue
			}
			for x := range s.Table.Indexes {
				ix := &s.Table.Indexes[x]
				if ix.State.Readable() && ix.Predicate == nil && len(ix.Columns) > 0 && ix.Columns[0].Column == s.Read[j] {
					// The scan's own conditions are looked at after a row is read.
					found := rows / math.Max(g.c.selectivity(s.Filter), 1e-3)
					cost := outer.cost + outer.rows*costSeek + found*costRow
					if ix.OID != s.Table.Primary {
						cost += found * costFetch
					}
					return cost, true
				}
			}
		}
	}
	return 0, false
}

// greedy joins the pair with the fewest rows until one plan is left.
func (g *joinGraph) greedy() *joinPlan {
	var plans []*joinPlan
	for i := range g.rels {
		plans = append(plans, g.leaf(i))
	}
	for len(plans) > 1 {
		var best *joinPlan
		bi, bj := 0, 1
		for _, connected := range []bool{true, false} {
			for i := range plans {
				for j := i + 1; j < len(plans); j++ {
					if connected && !g.connected(plans[i].set, plans[j].set) {
						continue
					}
					if p := g.combine(plans[i], plans[j]); best == nil || p.rows < best.rows {
						best, bi, bj = p, i, j
					}
				}
			}
			if best != nil {
				break
			}
		}
		plans[bi] = best
		plans = append(plans[:bj], plans[bj+1:]...)
	}
	return plans[0]
}

// classes are sets of columns that are equal to each other (union-find).
type classes map[expr.ColID]expr.ColID

func (c classes) find(x expr.ColID) expr.ColID {
	for {
		p, ok := c[x]
		if !ok || p == x {
			return x
		}
		x = p
	}
}

// join makes two columns equal. It returns false if they were so already.
func (c classes) join(a, b expr.ColID) bool {
	a, b = c.find(a), c.find(b)
	if a == b {
		return false
	}
	c[a] = b
	return true
}

// columnEquality reads a condition as an equality of two columns, of which others
// follow.
func columnEquality(e expr.Expr) (a, b expr.ColID, ok bool) {
	q, ok := asEquality(e)
	if !ok {
		return 0, 0, false
	}
	l, lok := stripRelabel(q.left).(*expr.ColumnRef)
	r, rok := stripRelabel(q.right).(*expr.ColumnRef)
	if !lok || !rok {
		return 0, 0, false
	}
	return l.ID, r.ID, true
}

// classify numbers the equalities that follow from each other.
func (g *joinGraph) classify() {
	g.known = make(classes)
	all := make(classes)
	for i := range g.conds {
		if a, b, ok := columnEquality(g.conds[i].e); ok {
			all.join(a, b)
		}
	}
	number := make(map[expr.ColID]int)
	for i := range g.conds {
		if a, _, ok := columnEquality(g.conds[i].e); ok {
			root := all.find(a)
			if number[root] == 0 {
				number[root] = len(number) + 1
			}
			g.conds[i].class = number[root]
		}
	}
}

// build makes the nodes, with every condition at the first join that has all
// its relations.
func (g *joinGraph) build(p *joinPlan) plan.Node {
	used := make([]bool, len(g.conds))
	n := g.node(p, used)
	var rest []expr.Expr
	for i, k := range g.conds {
		if !used[i] {
			rest = append(rest, k.e)
		}
	}
	return filter(n, rest)
}

func (g *joinGraph) node(p *joinPlan, used []bool) plan.Node {
	if p.left == nil {
		n := g.rels[p.rel]
		return filter(n, g.take(p.set, used))
	}
	l, r := g.node(p.left, used), g.node(p.right, used)
	return &plan.NestedLoop{Base: plan.Base{Out: joinOut(plan.InnerJoin, l, r, nil, 0)}, Type: plan.InnerJoin,
		Left: l, Right: r, On: g.take(p.set, used)}
}

func (g *joinGraph) take(set uint64, used []bool) []expr.Expr {
	var out []expr.Expr
	for i, k := range g.conds {
		if !used[i] && k.rels&^set == 0 && k.rels != 0 {
			used[i] = true
			// What follows from equalities further down need not be looked at again.
			if a, b, ok := columnEquality(k.e); ok && !g.known.join(a, b) {
				continue
			}
			out = append(out, k.e)
		}
	}
	return out
}
