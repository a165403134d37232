package logstore

import (
	"runtime"
	"sync"

	"github.com/hashicorp/raft"
)

// committer writes the entries of many groups together: whoever comes while
// nobody writes does so for all who are there, and hands over to the first of
// those who came meanwhile. Without a goroutine of its own, a lone append costs
// no switch.
type committer struct {
	store func([]*raft.Log) error

	mu    sync.Mutex
	queue []*appending
	busy  bool
}

// Limits of one transaction. Whoever writes takes at least its own entries.
const (
	commitEntries = 4096
	commitBytes   = 4 << 20
)

// appending is one caller's entries.
type appending struct {
	logs []*raft.Log
	size int
	// wake is nil for the caller who writes at once. The others wait for their
	// turn to write, or for the end.
	wake chan struct{}
	turn bool
	err  error
}

// add queues entries; the caller must wait for them. Entries are written in the
// order of add.
func (c *committer) add(logs []*raft.Log) *appending {
	a := &appending{logs: logs}
	for _, l := range logs {
		a.size += len(l.Data)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy {
		a.wake = make(chan struct{}, 1)
	} else {
		c.busy = true
	}
	c.queue = append(c.queue, a)
	return a
}

// wait returns once the entries are durable, or failed to be.
func (c *committer) wait(a *appending) error {
	if a.wake == nil {
		// The other ranges of the same transaction are about to come.
		runtime.Gosched()
	} else if <-a.wake; !a.turn {
		return a.err
	}
	c.mu.Lock()
	batch := c.take()
	c.mu.Unlock()
	err := c.store(join(batch))
	c.mu.Lock()
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
	return err
}

func (c *committer) do(logs []*raft.Log) error { return c.wait(c.add(logs)) }

// take removes what goes into one transaction; the caller holds mu.
func (c *committer) take() []*appending {
	n, entries, size := 0, 0, 0
	for n < len(c.queue) {
		a := c.queue[n]
		if n > 0 && (entries+len(a.logs) > commitEntries || size+a.size > commitBytes) {
			break
		}
		entries += len(a.logs)
		size += a.size
		n++
	}
	batch := c.queue[:n:n]
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil
	}
	return batch
}

func join(batch []*appending) []*raft.Log {
	if len(batch) == 1 {
		return batch[0].logs
	}
	n := 0
	for _, a := range batch {
		n += len(a.logs)
	}
	all := make([]*raft.Log, 0, n)
	for _, a := range batch {
		all = append(all, a.logs...)
	}
	return all
}
