package plan

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/pamirdb/pamir/sql/catalog"
)

// Measured is what the executor saw of one node.
type Measured struct {
	Rows    float64 // a loop
	Loops   int
	StartMs float64 // to the first row, a loop
	TotalMs float64 // a loop
	// Notes are further facts: memory, spilled bytes, requests, ranges.
	Notes []Note
}

// Note is one named fact about a node.
type Note struct {
	Name  string
	Value string
}

// ExplainText prints a plan as EXPLAIN does, one line for each row of output.
// measured, if not nil, gives what was seen of a node by its id; nil for a node
// that never ran.
func ExplainText(p *Plan, o ExplainOptions, measured func(id int) *Measured) []string {
	e := &explainer{printer: printer{names: namesOf(p.Root)}, o: o, measured: measured}
	e.node(p.Root, 0, "")
	return e.lines
}

// ExplainDocument prints a plan as EXPLAIN (FORMAT JSON) does.
func ExplainDocument(p *Plan, o ExplainOptions, measured func(id int) *Measured) (string, error) {
	e := &explainer{printer: printer{names: namesOf(p.Root)}, o: o, measured: measured}
	doc := []map[string]any{{"Plan": e.object(p.Root)}}
	b, err := json.MarshalIndent(doc, "", "  ")
	return string(b), err
}

// Format prints a tree with column ids and without costs: for golden files.
func Format(n Node) string {
	e := &explainer{printer: printer{names: namesOf(n), ids: true}, o: ExplainOptions{Verbose: true}}
	e.node(n, 0, "")
	return strings.Join(e.lines, "\n") + "\n"
}

type explainer struct {
	printer
	o        ExplainOptions
	measured func(int) *Measured
	lines    []string
}

// namesOf gives columns the names they are printed with: qualified by their
// entry when the plan reads more than one.
func namesOf(root Node) map[ColID]string {
	names := make(map[ColID]string)
	entries := 0
	Walk(root, func(n Node) {
		switch n.(type) {
		case *Scan, *PointGet, *VirtualScan, *LookupJoin, *FunctionScan, *CTEScan:
			entries++
		}
	})
	put := func(alias string, cols []Column) {
		for _, c := range cols {
			if names[c.ID] = c.Name; entries > 1 && alias != "" {
				names[c.ID] = alias + "." + c.Name
			}
		}
	}
	Walk(root, func(n Node) {
		switch n := n.(type) {
		case *Scan:
			put(n.Alias, n.Out)
			put(n.Alias, n.In)
		case *PointGet:
			put(n.Alias, n.Out)
		case *IndexFetch:
			put(n.Alias, n.Out[:len(n.Read)])
		case *VirtualScan:
			put(n.Alias, n.Out)
		case *LookupJoin:
			put(n.Alias, n.ReadOut)
		case *CTEScan:
			put(n.Name, n.Out)
		case *FunctionScan:
			put(n.Alias, n.Out)
		}
	})
	return names
}

func (e *explainer) node(n Node, depth int, label string) {
	indent := ""
	if depth > 0 {
		indent = strings.Repeat("  ", 3*depth-2)
		if label != "" {
			e.lines = append(e.lines, indent+label)
			indent += "  "
		}
		indent += "->  "
	}
	e.lines = append(e.lines, indent+e.title(n)+e.costs(n))
	detail := strings.Repeat("  ", 3*depth+1)
	if depth == 0 {
		detail = "  "
	}
	for _, p := range e.properties(n) {
		e.lines = append(e.lines, detail+p.Name+": "+p.Value)
	}
	if m := e.seen(n); m != nil {
		for _, x := range m.Notes {
			e.lines = append(e.lines, detail+x.Name+": "+x.Value)
		}
	}
	switch x := n.(type) {
	case *With:
		for i := range x.CTEs {
			e.node(x.CTEs[i].Plan, depth+1, "CTE "+x.CTEs[i].Name)
		}
		e.node(x.Body, depth+1, "")
		return
	case *Explain:
		return
	}
	for _, c := range n.Inputs() {
		e.node(c, depth+1, "")
	}
}

func (e *explainer) seen(n Node) *Measured {
	if e.measured == nil {
		return nil
	}
	return e.measured(n.Common().ID)
}

func (e *explainer) costs(n Node) string {
	var b strings.Builder
	est := n.Common().Est
	if e.o.Costs {
		fmt.Fprintf(&b, "  (cost=%.2f..%.2f rows=%.0f width=%d)", est.StartupCost, est.TotalCost, est.Rows, est.Width)
	}
	if e.o.Analyze && e.measured != nil {
		m := e.seen(n)
		switch {
		case m == nil || m.Loops == 0:
			b.WriteString(" (never executed)")
		case e.o.Timing:
			fmt.Fprintf(&b, " (actual time=%.3f..%.3f rows=%.0f loops=%d)", m.StartMs, m.TotalMs, m.Rows, m.Loops)
		default:
			fmt.Fprintf(&b, " (actual rows=%.0f loops=%d)", m.Rows, m.Loops)
		}
	}
	return b.String()
}

func (e *explainer) object(n Node) map[string]any {
	o := map[string]any{"Node Type": e.title(n)}
	est := n.Common().Est
	if e.o.Costs {
		o["Startup Cost"], o["Total Cost"], o["Plan Rows"], o["Plan Width"] = round(est.StartupCost), round(est.TotalCost), round(est.Rows), est.Width
	}
	if e.o.Analyze && e.measured != nil {
		m := e.seen(n)
		if m == nil {
			m = &Measured{}
		}
		o["Actual Rows"], o["Actual Loops"] = round(m.Rows), m.Loops
		if e.o.Timing {
			o["Actual Startup Time"], o["Actual Total Time"] = round(m.StartMs), round(m.TotalMs)
		}
		for _, x := range m.Notes {
			o[x.Name] = x.Value
		}
	}
	for _, p := range e.properties(n) {
		o[p.Name] = p.Value
	}
	var plans []any
	for _, c := range n.Inputs() {
		plans = append(plans, e.object(c))
	}
	if plans != nil {
		o["Plans"] = plans
	}
	return o
}

func round(f float64) json.Number {
	return json.Number(strconv.FormatFloat(f, 'f', 2, 64))
}

func tableName(t *catalog.Table, alias string) string {
	if alias == "" || alias == t.Name {
		return t.Name
	}
	return t.Name + " " + alias
}

// title is a node's first line, without costs.
func (e *explainer) title(n Node) string {
	switch x := n.(type) {
	case *Values:
		if len(x.Rows) == 1 && len(x.Out) == 0 {
			return "Result"
		}
		return "Values Scan"
	case *Scan:
		return scanTitle(x)
	case *PointGet:
		return "Point Get using " + x.Index.Name + " on " + tableName(x.Table, x.Alias)
	case *IndexFetch:
		return "Row Fetch on " + tableName(x.Table, x.Alias)
	case *VirtualScan:
		return "Virtual Scan on " + tableName(x.Table, x.Alias)
	case *FunctionScan:
		return "Function Scan on " + x.Alias
	case *Aggregate:
		return aggTitle(x)
	case *Distinct:
		if x.Sorted {
			return "Unique"
		}
		return "HashDistinct"
	case *SetOp:
		return setOpTitle(x)
	case *Mutation:
		return [...]string{"Insert", "Update", "Delete"}[x.Op] + " on " + tableName(x.Table, x.Alias)
	case *CTEScan:
		return "CTE Scan on " + x.Name
	case *WorkTableScan:
		return "WorkTable Scan on " + x.Name
	case *ConflictRows:
		return "Conflicting Rows"
	case *RecursiveCTE:
		return "Recursive Union"
	case *Sort:
		if x.Top != nil {
			return "Top-N Sort"
		}
	case *Utility:
		return "Utility"
	}
	return joinTitle(n)
}

func scanTitle(x *Scan) string {
	dir := ""
	if x.Reverse {
		dir = " Backward"
	}
	name := tableName(x.Table, x.Alias)
	primary := x.Index != nil && x.Index.OID == x.Table.Primary
	part := ""
	if x.Partial != nil {
		part = "Partial Aggregate "
	}
	switch {
	case primary && len(x.Spans) == 0 && !x.Ordered:
		return part + "Seq Scan on " + name
	case primary:
		return part + "Index Scan" + dir + " using " + x.Index.Name + " on " + name
	}
	return part + "Index Only Scan" + dir + " using " + x.Index.Name + " on " + name
}

func aggTitle(x *Aggregate) string {
	prefix := ""
	if x.Merge {
		prefix = "Finalize "
	}
	switch {
	case len(x.GroupBy) == 0:
		return prefix + "Aggregate"
	case x.Sorted:
		return prefix + "GroupAggregate"
	}
	return prefix + "HashAggregate"
}

func setOpTitle(x *SetOp) string {
	all := ""
	if x.All {
		all = " All"
	}
	switch {
	case x.Op == Union && x.All:
		return "Append"
	case x.Op == Union:
		return "HashUnion"
	case x.Op == Intersect:
		return "HashSetOp Intersect" + all
	}
	return "HashSetOp Except" + all
}

func joinTitle(n Node) string {
	with := func(name string, t JoinType) string {
		if t == InnerJoin {
			return name
		}
		return name + " " + t.String() + " Join"
	}
	switch x := n.(type) {
	case *HashJoin:
		if x.Type == InnerJoin {
			return "Hash Join"
		}
		return with("Hash", x.Type)
	case *MergeJoin:
		if x.Type == InnerJoin {
			return "Merge Join"
		}
		return with("Merge", x.Type)
	case *NestedLoop:
		return with("Nested Loop", x.Type)
	case *Apply:
		return with("Apply", x.Type)
	case *LookupJoin:
		if x.Type == InnerJoin {
			return "Lookup Join using " + x.Index.Name + " on " + tableName(x.Table, x.Alias)
		}
		return "Lookup " + x.Type.String() + " Join using " + x.Index.Name + " on " + tableName(x.Table, x.Alias)
	}
	name := fmt.Sprintf("%T", n)
	return name[strings.LastIndexByte(name, '.')+1:]
}
