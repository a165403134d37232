package driver

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer is how much one direction holds before its writer waits: enough
// that a query and its answer never do.
const pipeBuffer = 64 << 10

// newPipe returns the two ends of an in-memory connection. Unlike net.Pipe's,
// its writes do not wait for the reader.
func newPipe() (client, server net.Conn) {
	a, b := newHalf(), newHalf()
	return &pipeConn{in: a, out: b}, &pipeConn{in: b, out: a}
}

// half is one direction.
type half struct {
	mu     sync.Mutex
	cond   *sync.Cond
	buf    []byte
	read   int
	closed bool
	// readDeadline and writeDeadline are this direction's.
	readDeadline, writeDeadline deadline
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newHalf() *half {
	h := &half{}
	h.cond = sync.NewCond(&h.mu)
	return h
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set changes a deadline and wakes whoever waits, now and when it passes.
func (h *half) set(d *deadline, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = at
	if !at.IsZero() {
		d.timer = time.AfterFunc(time.Until(at), func() {
			h.mu.Lock()
			h.cond.Broadcast()
			h.mu.Unlock()
		})
	}
	h.cond.Broadcast()
}

func (h *half) Read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readDeadline.passed():
			return 0, os.ErrDeadlineExceeded
		case h.read < len(h.buf):
			n := copy(p, h.buf[h.read:])
			if h.read += n; h.read == len(h.buf) {
				h.buf, h.read = h.buf[:0], 0
			}
			h.cond.Broadcast()
			return n, nil
		case h.closed:
			return 0, io.EOF
		}
		h.cond.Wait()
	}
}

func (h *half) Write(p []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(p) > 0 {
		switch room := pipeBuffer - (len(h.buf) - h.read); {
		case h.closed:
			return n, io.ErrClosedPipe
		case h.writeDeadline.passed():
			return n, os.ErrDeadlineExceeded
		case room > 0:
			if h.read > 0 && len(h.buf)+min(room, len(p)) > cap(h.buf) {
				h.buf, h.read = append(h.buf[:0], h.buf[h.read:]...), 0
			}
			k := min(room, len(p))
			h.buf = append(h.buf, p[:k]...)
			p, n = p[k:], n+k
			h.cond.Broadcast()
		default:
			h.cond.Wait()
		}
	}
	return n, nil
}

func (h *half) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.cond.Broadcast()
}

// pipeConn is one end.
type pipeConn struct{ in, out *half }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "embedded" }

func (c *pipeConn) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *pipeConn) Write(p []byte) (int, error) { return c.out.Write(p) }

// Close ends both directions; what was written can still be read.
func (c *pipeConn) Close() error {
	c.in.close()
	c.out.close()
	return nil
}

func (c *pipeConn) LocalAddr() net.Addr  { return pipeAddr{} }
func (c *pipeConn) RemoteAddr() net.Addr { return pipeAddr{} }

func (c *pipeConn) SetDeadline(t time.Time) error {
	c.in.set(&c.in.readDeadline, t)
	c.out.set(&c.out.writeDeadline, t)
	return nil
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.set(&c.in.readDeadline, t)
	return nil
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.out.set(&c.out.writeDeadline, t)
	return nil
}
