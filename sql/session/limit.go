package session

import (
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// limited passes rows of a statement without a plan up to a row limit and keeps
// the rest for the next Execute: such a statement gives all its rows at once.
type limited struct {
	ResultWriter
	limit, left int
	cols        []plan.ResultColumn
	rest        *vec.Batch
	tag         string
	done        bool
}

// Columns implements ResultWriter.
func (l *limited) Columns(cols []plan.ResultColumn, formats []int16) error {
	l.cols = cols
	return l.ResultWriter.Columns(cols, formats)
}

// Batch implements ResultWriter.
func (l *limited) Batch(b *vec.Batch, s *types.Settings) error {
	n := min(l.left, b.Len())
	l.left -= n
	if n < b.Len() {
		l.keep(b, n)
	}
	if n == 0 {
		return nil
	}
	return l.ResultWriter.Batch(part(b, 0, n), s)
}

func (l *limited) keep(b *vec.Batch, from int) {
	if l.rest == nil {
		ts := make([]types.Type, len(l.cols))
		for i := range l.cols {
			ts[i] = l.cols[i].Type
		}
		l.rest = vec.NewBatch(ts, b.Len()-from)
	}
	l.rest.AppendBatch(part(b, from, b.Len()))
}

// part is the rows of a batch from one to before another.
func part(b *vec.Batch, from, to int) *vec.Batch {
	sel := make([]int32, 0, to-from)
	for i := from; i < to; i++ {
		sel = append(sel, int32(b.Pos(i)))
	}
	return &vec.Batch{Cols: b.Cols, N: b.N, Sel: sel}
}

// Complete implements ResultWriter: the tag waits for the last row.
func (l *limited) Complete(tag string) error {
	l.tag, l.done = tag, true
	return nil
}

// Discard implements ResultWriter.
func (l *limited) Discard() {
	l.rest, l.left = nil, l.limit
	l.ResultWriter.Discard()
}

// runLimited runs a portal without a plan for at most maxRows rows.
func (s *Session) runLimited(p *portal, maxRows int, w ResultWriter) error {
	l := &limited{ResultWriter: w, limit: maxRows, left: maxRows}
	if err := s.executeUtility(p, l); err != nil {
		return err
	}
	if !l.done {
		return nil // it answered in its own way
	}
	p.tag = l.tag
	if l.left == 0 {
		if p.rest = l.rest; p.rest == nil {
			p.rest = &vec.Batch{} // that there is no more shows at the next Execute
		}
		return w.Suspended()
	}
	return w.Complete(l.tag)
}

// giveRest gives more of the rows that a limit has kept back.
func (s *Session) giveRest(p *portal, maxRows int, w ResultWriter, cols []plan.ResultColumn) error {
	if err := w.Columns(cols, p.formats); err != nil {
		return err
	}
	n := p.rest.Len() - p.given
	if maxRows > 0 {
		n = min(n, maxRows)
	}
	if n > 0 {
		if err := w.Batch(part(p.rest, p.given, p.given+n), s.set.Types()); err != nil {
			return err
		}
		p.given += n
	}
	if n == maxRows && n > 0 {
		return w.Suspended()
	}
	p.rest = nil
	return w.Complete(p.tag)
}
