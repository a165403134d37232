package concurrency

import (
	"context"
	"sync"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// ends knows transactions that are committed for good, with a record that says
// so, though their intents may still lie about. Who meets such an intent takes it
// for the version that it will become, so that nobody waits for its resolution,
// which then can wait for others and share a command's cost. Forgetting an end
// costs a push.
type ends struct {
	mu sync.Mutex
	// Two generations bound the memory without keeping an order.
	young, old map[ids.TxnID]end

	// turn is closed when those who wait for their turn may go on.
	turn chan struct{}
}

type end struct {
	epoch int32
	ts    hlc.Timestamp
}

const (
	maxEnds  = 4096
	turnTime = 5 * time.Millisecond
)

func (e *ends) note(t *api.TxnMeta, ts hlc.Timestamp) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.young == nil || len(e.young) >= maxEnds {
		e.young, e.old = make(map[ids.TxnID]end), e.young
	}
	e.young[t.ID] = end{t.Epoch, ts}
}

func (e *ends) committed(t *api.TxnMeta) hlc.Timestamp {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.young[t.ID]
	if !ok {
		at, ok = e.old[t.ID]
	}
	if !ok || at.epoch != t.Epoch {
		return hlc.Timestamp{}
	}
	return at.ts
}

// NoteCommitted remembers that a transaction's record says that it committed at
// ts, with all the writes of its last epoch.
func (m *Manager) NoteCommitted(t *api.TxnMeta, ts hlc.Timestamp) { m.ends.note(t, ts) }

// CommittedFunc returns a function that tells when the writer of an intent is
// known to have committed, or zero.
func (m *Manager) CommittedFunc() func(*api.TxnMeta) hlc.Timestamp { return m.settled }

// Turn waits for a moment, at the end of which all who wait go on together, so
// that what they propose shares an entry of the log.
func (m *Manager) Turn(ctx context.Context) error {
	e := &m.ends
	e.mu.Lock()
	turn := e.turn
	if turn == nil {
		turn = make(chan struct{})
		e.turn = turn
		time.AfterFunc(turnTime, func() {
			e.mu.Lock()
			e.turn = nil
			e.mu.Unlock()
			close(turn)
		})
	}
	e.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
