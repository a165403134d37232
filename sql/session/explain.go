package session

import (
	"fmt"
	"time"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/exec"
	"github.com/pamirdb/pamir/sql/opt"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// explain carries out EXPLAIN and EXPLAIN ANALYZE.
func (s *Session) explain(n *ast.ExplainStmt, text string, w ResultWriter, formats []int16, p *portal) error {
	_ = text
	ex, executes := n.Query.(*ast.ExecuteStmt)
	if executes {
		st, ok := s.stmts[ex.Name]
		if !ok {
			return types.Errorf(types.CodeInvalidStatementName, "prepared statement \"%s\" does not exist", ex.Name)
		}
		c := *n
		c.Query = st.st.Node
		n = &c
	}
	start := time.Now()
	var params []types.Datum
	po := opt.Options{NoParams: p == nil && !executes}
	if p != nil {
		po.Params, params = p.stmt.declared, p.params
	}
	pl, err := s.planWith(s.ctx, n, po)
	if err != nil {
		return err
	}
	root, ok := pl.Root.(*plan.Explain)
	if !ok || root.Target == nil {
		return types.Errorf(types.CodeInternal, "EXPLAIN has no plan")
	}
	planning := time.Since(start)
	o := root.Options
	var measured func(id int) *plan.Measured
	var footer []string
	if o.Analyze {
		if measured, footer, err = s.measure(root.Target, params); err != nil {
			return err
		}
	}
	if o.Format == plan.ExplainAsJSON {
		doc, err := plan.ExplainDocument(root.Target, o, measured)
		if err != nil {
			return err
		}
		return s.sendText(w, []plan.ResultColumn{{Name: "QUERY PLAN", Type: types.JSONType}}, [][]string{{doc}}, formats)
	}
	lines := plan.ExplainText(root.Target, o, measured)
	if o.Analyze {
		lines = append(lines, footer[1:]...)
	}
	if o.Summary {
		lines = append(lines, fmt.Sprintf("Planning Time: %.3f ms", float64(planning.Microseconds())/1000))
		if o.Analyze {
			lines = append(lines, footer[0])
		}
	}
	rows := make([][]string, len(lines))
	for i, l := range lines {
		rows[i] = []string{l}
	}
	return s.sendText(w, textColumns("QUERY PLAN"), rows, formats)
}

// measure runs a plan and returns what was seen of its nodes, and the lines for
// the end of the output: execution time first.
func (s *Session) measure(p *plan.Plan, params []types.Datum) (func(int) *plan.Measured, []string, error) {
	if s.t.readOnly && !p.Flags.ReadOnly {
		return nil, nil, types.Errorf(types.CodeReadOnlyTransaction, "cannot execute %s in a read-only transaction", tagWord(p.Tag))
	}
	if err := s.ensureTxn(); err != nil {
		return nil, nil, err
	}
	in, err := exec.Build(p)
	if err != nil {
		return nil, nil, err
	}
	defer in.Finish()
	r := &runner{params: params}
	s.arm(r, p)
	r.env.Measure = true
	before := s.t.txn.Info()
	start := time.Now()
	if err := in.Run(&r.env); err != nil {
		return nil, nil, err
	}
	for {
		b, err := in.Next(vec.MaxBatch)
		if err != nil {
			return nil, nil, err
		}
		if b == nil {
			break
		}
	}
	stats := in.Stats()
	if err := s.t.queue.Drain(&r.env, false); err != nil {
		return nil, nil, err
	}
	took := time.Since(start)
	after := s.t.txn.Info()
	lines := []string{
		fmt.Sprintf("Execution Time: %.3f ms", float64(took.Microseconds())/1000),
		fmt.Sprintf("Ranges: %d  Requests: %d  Rows Scanned: %d  Buffered Writes: %d", after.Ranges-before.Ranges, after.RPCs-before.RPCs,
			after.RowsScanned-before.RowsScanned, after.BufferedWrites-before.BufferedWrites),
		fmt.Sprintf("Memory: %dkB", (r.account.Used()+1023)/1024),
	}
	return func(id int) *plan.Measured {
		if id >= len(stats) || stats[id].Loops == 0 && stats[id].Rows == 0 {
			return nil
		}
		x := &stats[id]
		loops := max(x.Loops, 1)
		m := &plan.Measured{Rows: float64(x.Rows) / float64(loops), Loops: int(loops),
			StartMs: millis(x.Startup) / float64(loops), TotalMs: millis(x.Total) / float64(loops)}
		if x.Spilled > 0 {
			m.Notes = append(m.Notes, plan.Note{Name: "Spilled", Value: fmt.Sprintf("%dkB", x.Spilled/1024)})
		}
		return m
	}, lines, nil
}

func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
