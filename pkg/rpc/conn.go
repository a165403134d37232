package rpc

import (
	"bufio"
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"
)

const (
	// maxQueueBytes bounds what waits to be written to one peer. A queue that
	// long means a peer that does not read.
	maxQueueBytes = 64 << 20
	writeTimeout  = 10 * time.Second
	// pingEvery and silentFor find connections whose peer is gone without a reset.
	pingEvery = 2 * time.Second
	silentFor = 8 * time.Second
	// deadlineEvery is how often deadlines move on: not with every frame, for a
	// timer that moves costs as much as a small frame.
	deadlineEvery = time.Second
)

var (
	errConnClosed = errors.New("connection closed")
	errNoHello    = errors.New("rpc: peer did not say hello")
)

// conn writes frames to one connection. Frames queued while a write is under
// way leave with the next one, in one system call.
type conn struct {
	nc net.Conn
	br *bufio.Reader

	mu struct {
		sync.Mutex
		queue  []byte
		closed bool
	}
	wake      chan struct{}
	done      chan struct{}
	readUntil time.Time // the reader's
}

func newConn(nc net.Conn) *conn {
	return &conn{nc: nc, br: bufio.NewReaderSize(nc, 64<<10),
		wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// send queues a frame; it reports false when the connection is closed or its
// queue is full.
func (c *conn) send(f frame) bool {
	c.mu.Lock()
	if c.mu.closed || len(c.mu.queue) > maxQueueBytes {
		c.mu.Unlock()
		return false
	}
	c.mu.queue = appendFrame(c.mu.queue, f)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return true
}

// writeLoop writes queued frames until the connection closes.
func (c *conn) writeLoop() {
	var out []byte
	var until time.Time
	for {
		select {
		case <-c.wake:
		case <-c.done:
			return
		}
		// Whoever else is about to send does it first.
		runtime.Gosched()
		c.mu.Lock()
		out, c.mu.queue = c.mu.queue, out[:0]
		c.mu.Unlock()
		if len(out) == 0 {
			continue
		}
		if err := extend(&until, writeTimeout, c.nc.SetWriteDeadline); err != nil {
			c.close()
			return
		}
		if _, err := c.nc.Write(out); err != nil {
			c.close()
			return
		}
		if cap(out) > 1<<20 {
			out = nil
		}
	}
}

// read returns the next frame; a connection silent for too long is an error.
func (c *conn) read() (frame, error) {
	if err := extend(&c.readUntil, silentFor, c.nc.SetReadDeadline); err != nil {
		return frame{}, err
	}
	return readFrame(c.br, maxFrameBytes)
}

// extend moves a deadline on if it is due: it then lies between d and d +
// deadlineEvery ahead.
func extend(until *time.Time, d time.Duration, set func(time.Time) error) error {
	now := time.Now()
	if until.Sub(now) >= d {
		return nil
	}
	*until = now.Add(d + deadlineEvery)
	return set(*until)
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed {
		return
	}
	c.mu.closed = true
	close(c.done)
	_ = c.nc.Close() // the peer sees the end either way
}

// handshake exchanges hello frames; each side says who it is.
func (c *conn) handshake(ctx context.Context, mine hello, dialing bool) (hello, error) {
	deadline := time.Now().Add(5 * time.Second)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.nc.SetDeadline(deadline); err != nil {
		return hello{}, err
	}
	if dialing {
		if err := c.writeNow(frame{kind: frameHello, payload: mine.encode()}); err != nil {
			return hello{}, err
		}
	}
	f, err := readFrame(c.br, maxHelloBytes)
	if err != nil {
		return hello{}, err
	}
	if f.kind == frameError {
		return hello{}, &refusedError{string(f.payload)}
	}
	if f.kind != frameHello {
		return hello{}, errNoHello
	}
	theirs, err := decodeHello(f.payload)
	if err == nil {
		err = mine.accepts(theirs)
	}
	if !dialing {
		answer := frame{kind: frameHello, payload: mine.encode()}
		if err != nil {
			answer = frame{kind: frameError, payload: []byte(err.Error())}
		}
		if werr := c.writeNow(answer); werr != nil && err == nil {
			err = werr
		}
	}
	if err != nil {
		return hello{}, err
	}
	return theirs, c.nc.SetDeadline(time.Time{})
}

func (c *conn) writeNow(f frame) error {
	_, err := c.nc.Write(appendFrame(nil, f))
	return err
}

// keepAlive pings until the connection closes, which the end of ctx makes it do.
// Nobody else may write meanwhile.
func (c *conn) keepAlive(ctx context.Context) {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-ctx.Done():
			c.close()
			return
		case <-t.C:
		}
		if c.writeNow(frame{kind: framePing}) != nil {
			return // the reader sees it, too
		}
	}
}
