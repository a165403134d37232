package concurrency

import (
	"context"
	"sync"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// ends knows transactions that are committed though their intents may still lie
// about. Who meets such an intent takes it for the version that it will become,
// so that nobody waits for its resolution, which then can wait for others and
// share a command's cost. Forgetting an end costs a push.
//
// A parallel commit holds from the moment when its writes and its staging record
// are there, but the record does not say so yet: if the coordinator dies now,
// others look for the writes. Until the record says it, an end is not recorded,
// and its intents may be read, but not be written over.
type ends struct {
	mu sync.Mutex
	// Two generations bound the memory without keeping an order.
	young, old map[ids.TxnID]*end

	// turn is closed when those who wait for their turn may go on.
	turn chan struct{}
}

type end struct {
	epoch int32
	ts    hlc.Timestamp
	// recorded is closed once the record says it.
	recorded chan struct{}
}

const (
	maxEnds  = 4096
	turnTime = 20 * time.Millisecond
)

// closed is the channel of what was recorded when it was first heard of.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (e *ends) note(t *api.TxnMeta, ts hlc.Timestamp, recorded bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.find(t); old != nil {
		select {
		case <-old.recorded:
		default:
			if recorded {
				close(old.recorded)
			}
		}
		return
	}
	if e.young == nil || len(e.young) >= maxEnds {
		e.young, e.old = make(map[ids.TxnID]*end), e.young
	}
	n := &end{t.Epoch, ts, closed}
	if !recorded {
		n.recorded = make(chan struct{})
	}
	e.young[t.ID] = n
}

// find returns what is known of a transaction's last epoch; the caller holds mu.
func (e *ends) find(t *api.TxnMeta) *end {
	at := e.young[t.ID]
	if at == nil {
		at = e.old[t.ID]
	}
	if at == nil || at.epoch != t.Epoch {
		return nil
	}
	return at
}

func (e *ends) committed(t *api.TxnMeta) hlc.Timestamp {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at := e.find(t); at != nil {
		return at.ts
	}
	return hlc.Timestamp{}
}

// NoteCommitted remembers that a transaction has committed at ts, with all the
// writes of its last epoch, and whether its record says so.
func (m *Manager) NoteCommitted(t *api.TxnMeta, ts hlc.Timestamp, recorded bool) {
	m.ends.note(t, ts, recorded)
}

// CommittedFunc returns a function that tells when the writer of an intent is
// known to have committed, or zero.
func (m *Manager) CommittedFunc() func(*api.TxnMeta) hlc.Timestamp { return m.settled }

// Recorded returns when a transaction is known to have committed, or zero, and a
// channel that is closed once its record says so.
func (m *Manager) Recorded(t *api.TxnMeta) (hlc.Timestamp, <-chan struct{}) {
	m.ends.mu.Lock()
	defer m.ends.mu.Unlock()
	if at := m.ends.find(t); at != nil {
		return at.ts, at.recorded
	}
	return hlc.Timestamp{}, nil
}

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
