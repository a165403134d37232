package exec

import (
	"time"

	"github.com/pamirdb/pamir/sql/vec"
)

// NodeStats is what EXPLAIN ANALYZE tells of a node.
type NodeStats struct {
	Loops   int64
	Rows    int64
	Startup time.Duration
	Total   time.Duration
	// Memory is the most bytes held, Spilled what went to disk.
	Memory, Spilled int64
}

// measured counts what an operator does, if asked to.
type measured struct {
	run *run
	id  int
	op  Operator
}

func (m *measured) stats() *NodeStats {
	if m.run.measure == nil || m.id >= len(m.run.measure) {
		return nil
	}
	return &m.run.measure[m.id]
}

// Next implements Operator.
func (m *measured) Next(want int) (*vec.Batch, error) {
	s := m.stats()
	if s == nil {
		return m.op.Next(want)
	}
	start := time.Now()
	b, err := m.op.Next(want)
	d := time.Since(start)
	if s.Startup == 0 {
		s.Startup = s.Total + d
	}
	s.Total += d
	if b != nil {
		s.Rows += int64(b.Len())
	}
	return b, err
}

// Reset implements Operator.
func (m *measured) Reset() error {
	if s := m.stats(); s != nil {
		s.Loops++
	}
	return m.op.Reset()
}

// Close implements Operator.
func (m *measured) Close() { m.op.Close() }
