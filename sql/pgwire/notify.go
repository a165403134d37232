package pgwire

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// notification is what NOTIFY sends.
type notification struct {
	sender           int32
	channel, payload string
}

// notes are notifications on their way to a client. They are the one thing that
// another goroutine may write: it holds writer while it does, and a connection
// holds it whenever it does not wait for its client.
type notes struct {
	writer  sync.Mutex
	pending atomic.Bool
	mu      sync.Mutex
	queue   []notification
}

// maxNotes bounds what is kept for a client that stays in a transaction; the
// oldest go first.
const maxNotes = 10_000

// Notify sends a notification to the client with the given process id: at once
// if it is idle, else before its next ReadyForQuery outside of a transaction. It
// tells whether there is such a client.
func (s *Server) Notify(pid, sender int32, channel, payload string) bool {
	s.mu.Lock()
	c := s.mu.conns[pid]
	s.mu.Unlock()
	if c == nil {
		return false
	}
	c.notes.mu.Lock()
	if len(c.notes.queue) >= maxNotes {
		c.notes.queue = c.notes.queue[1:]
	}
	c.notes.queue = append(c.notes.queue, notification{sender, channel, payload})
	c.notes.pending.Store(true)
	c.notes.mu.Unlock()
	c.tryNotes()
	return true
}

// tryNotes sends what is pending unless the connection is at work, which then
// sends it itself. Whoever gives the lock back looks again: a note that came
// meanwhile found it taken.
func (c *conn) tryNotes() {
	for c.notes.pending.Load() && c.state.Load() == stateWaiting && c.notes.writer.TryLock() {
		c.sendNotesIfIdle()
		c.notes.writer.Unlock()
	}
}

// yield lets others write, and sends what came too late for the last
// ReadyForQuery and too early for the lock to be free.
func (c *conn) yield() {
	c.notes.writer.Unlock()
	c.tryNotes()
}

// sendNotesIfIdle sends what is pending to a client outside of a transaction.
// The caller holds writer and waits only a moment for a client that does not
// read; an error shows at the connection's next write.
func (c *conn) sendNotesIfIdle() {
	if c.state.Load() == stateWaiting {
		_ = c.raw.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
		c.writeNotes()
		_ = c.w.flush()
		_ = c.raw.SetWriteDeadline(time.Time{})
	}
}

func (c *conn) writeNotes() {
	c.notes.mu.Lock()
	queue := c.notes.queue
	c.notes.queue = nil
	c.notes.pending.Store(false)
	c.notes.mu.Unlock()
	for _, n := range queue {
		c.w.send(&pgproto3.NotificationResponse{PID: uint32(n.sender), Channel: n.channel, Payload: n.payload})
	}
}
