package logstore

import (
	"runtime"
	"sync"
	"time"
)

// committer writes the entries of many groups together: whoever comes while
// nobody writes does so for all who are there, and hands over to the first of
// those who came meanwhile. Without a goroutine of its own, a lone append costs
// no switch.
//
//	writing ─▶ done: wake the callers, tell those who held back ─▶ gather ─▶ writing
type committer struct {
	store func([]op) error

	mu    sync.Mutex
	queue []*appending
	// busy: somebody has the turn. writing: and the file is being written.
	busy, writing bool
	// told are called when the write ends; expected of them have not brought
	// their entries yet.
	told     []func() bool
	expected int
}

// Limits of one transaction. Whoever writes takes at least its own entries.
const (
	commitEntries = 4096
	commitBytes   = 4 << 20
)

// gatherTime bounds the wait for those who were told that a write has ended: a
// part of what a sync takes, and some times what a few goroutines need.
const gatherTime = 100 * time.Microsecond

// appending is one caller's changes.
type appending struct {
	ops  []op
	size int
	// wake is nil for the caller who writes at once. The others wait for their
	// turn to write, or for the end.
	wake chan struct{}
	turn bool
	err  error
}

// add queues entries; the caller must wait for them. Entries are written in the
// order of add.
func (c *committer) add(ops []op) *appending {
	a := &appending{ops: ops}
	for _, o := range ops {
		if o.log != nil {
			a.size += len(o.log.Data)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy {
		a.wake = make(chan struct{}, 1)
	} else {
		c.busy = true
	}
	if c.expected > 0 && !c.writing {
		c.expected--
	}
	c.queue = append(c.queue, a)
	return a
}

// later is Dir's Later.
func (c *committer) later(f func() bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing {
		c.told = append(c.told, f)
	}
	return c.writing
}

// wait returns once the entries are durable, or failed to be.
func (c *committer) wait(a *appending) error {
	if a.wake != nil {
		if <-a.wake; !a.turn {
			return a.err
		}
	}
	batch := c.gather()
	err := c.store(join(batch))
	c.mu.Lock()
	told := c.told
	c.told, c.writing, c.expected = nil, false, len(told)
	if len(c.queue) > 0 {
		c.queue[0].turn = true
		c.queue[0].wake <- struct{}{}
	} else {
		c.busy = false
	}
	c.mu.Unlock()
	for _, o := range batch {
		if o != a {
			o.err = err
			o.wake <- struct{}{}
		}
	}
	for _, f := range told {
		if !f() {
			c.expectLess()
		}
	}
	return err
}

// expectLess notes that one who was told has nothing to write now.
func (c *committer) expectLess() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expected > 0 && !c.writing {
		c.expected--
	}
}

// gather gives those who are about to come a moment, and returns what to write.
func (c *committer) gather() []*appending {
	// The other ranges of the same transaction, for one.
	runtime.Gosched()
	start := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.expected > 0 && time.Since(start) < gatherTime {
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	c.writing, c.expected = true, 0
	return c.take()
}

func (c *committer) do(ops []op) error { return c.wait(c.add(ops)) }

// take removes what goes into one transaction; the caller holds mu.
func (c *committer) take() []*appending {
	n, entries, size := 0, 0, 0
	for n < len(c.queue) {
		a := c.queue[n]
		if n > 0 && (entries+len(a.ops) > commitEntries || size+a.size > commitBytes) {
			break
		}
		entries += len(a.ops)
		size += a.size
		n++
	}
	batch := c.queue[:n:n]
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil
	}
	return batch
}

func join(batch []*appending) []op {
	if len(batch) == 1 {
		return batch[0].ops
	}
	n := 0
	for _, a := range batch {
		n += len(a.ops)
	}
	all := make([]op, 0, n)
	for _, a := range batch {
		all = append(all, a.ops...)
	}
	return all
}
