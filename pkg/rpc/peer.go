package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
)

// redialAfter spaces attempts to reach a peer that refused.
const redialAfter = 100 * time.Millisecond

// peer is the outbound connection to one node in one class, made on demand and
// again after a failure.
type peer struct {
	n     *Node
	id    ids.NodeID
	class Class

	mu struct {
		sync.Mutex
		conn    *conn
		dialing chan struct{} // closed when the attempt under way ends
		lastErr error
		retryAt time.Time
		nextID  uint64
		calls   map[uint64]chan frame
	}
}

// connect returns the live connection, waiting for an attempt if there is none.
func (p *peer) connect(ctx context.Context) (*conn, error) {
	for {
		p.mu.Lock()
		if p.mu.conn != nil {
			c := p.mu.conn
			p.mu.Unlock()
			return c, nil
		}
		wait := p.startDialLocked()
		err := p.mu.lastErr
		p.mu.Unlock()
		if wait == nil {
			return nil, &NotSentError{err}
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, &NotSentError{ctx.Err()}
		case <-p.n.group.Done():
			return nil, &NotSentError{errNodeClosed}
		}
	}
}

// startDialLocked begins an attempt unless one failed a moment ago; it returns
// what to wait on, or nil.
func (p *peer) startDialLocked() chan struct{} {
	if p.mu.dialing != nil {
		return p.mu.dialing
	}
	if time.Now().Before(p.mu.retryAt) {
		return nil
	}
	done := make(chan struct{})
	p.mu.dialing = done
	if !p.n.group.Go("rpc dial", func(ctx context.Context) { p.dial(ctx, done) }) {
		p.mu.dialing, p.mu.lastErr = nil, errNodeClosed
		return nil
	}
	return done
}

func (p *peer) dial(ctx context.Context, done chan struct{}) {
	var c *conn
	var theirs hello
	addr, ok := p.n.o.Resolve(p.id)
	err := fmt.Errorf("no address for %s", p.id)
	if ok {
		c, theirs, err = p.n.dial(ctx, addr, p.class)
	}
	if err == nil && theirs.node != 0 && theirs.node != p.id {
		c.close()
		err = fmt.Errorf("%s answers at the address of %s", theirs.node, p.id)
	}
	p.mu.Lock()
	p.mu.dialing, p.mu.lastErr = nil, err
	if err != nil {
		p.mu.retryAt = time.Now().Add(redialAfter)
	} else {
		p.mu.conn = c
	}
	p.mu.Unlock()
	close(done)
	if err != nil {
		// Only a refusal says that the process is gone; silence may be the network.
		var ne net.Error
		timeout := errors.As(err, &ne) && ne.Timeout()
		if ok && p.class == Normal && ctx.Err() == nil && !timeout {
			p.n.setPeer(p.id, false)
		}
		return
	}
	started := p.n.group.Go("rpc write", func(context.Context) { c.writeLoop() }) &&
		p.n.group.Go("rpc ping", func(context.Context) { pingLoop(c) }) &&
		p.n.group.Go("rpc read", func(ctx context.Context) { p.readLoop(ctx, c) })
	if !started {
		p.drop(errNodeClosed)
		return
	}
	// Close drops the connections that it finds; one that was made meanwhile
	// would keep it waiting.
	p.n.mu.Lock()
	closed := p.n.mu.closed
	p.n.mu.Unlock()
	if closed {
		p.drop(errNodeClosed)
		return
	}
	if p.class == Normal {
		p.n.setPeer(p.id, true)
	}
}

func pingLoop(c *conn) {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			c.send(frame{kind: framePing})
		case <-c.done:
			return
		}
	}
}

// readLoop hands answers to their callers until the connection ends.
func (p *peer) readLoop(ctx context.Context, c *conn) {
	for {
		f, err := c.read()
		if err != nil {
			p.lost(c, err)
			if p.class == Normal && ctx.Err() == nil {
				p.confirmDown()
			}
			return
		}
		if f.kind != frameAnswer && f.kind != frameError && f.kind != frameUnserved {
			continue
		}
		p.mu.Lock()
		ch := p.mu.calls[f.id]
		delete(p.mu.calls, f.id)
		p.mu.Unlock()
		if ch != nil {
			ch <- f
		}
	}
}

// confirmDown dials again at once after a lost connection: a refusal says that
// the process is gone, and whoever listens hears of it.
func (p *peer) confirmDown() {
	p.mu.Lock()
	p.mu.retryAt = time.Time{}
	p.startDialLocked()
	p.mu.Unlock()
}

// lost forgets c and fails the calls that were waiting on it.
func (p *peer) lost(c *conn, cause error) {
	c.close()
	p.mu.Lock()
	if p.mu.conn != c {
		p.mu.Unlock()
		return
	}
	p.mu.conn, p.mu.lastErr = nil, cause
	calls := p.mu.calls
	p.mu.calls = map[uint64]chan frame{}
	p.mu.Unlock()
	for _, ch := range calls {
		close(ch)
	}
}

func (p *peer) drop(cause error) {
	p.mu.Lock()
	c := p.mu.conn
	p.mu.Unlock()
	if c != nil {
		p.lost(c, cause)
	}
}

func (p *peer) call(ctx context.Context, m Method, payload []byte) ([]byte, error) {
	c, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	ch := make(chan frame, 1)
	p.mu.Lock()
	if p.mu.conn != c {
		p.mu.Unlock()
		return nil, &NotSentError{errConnClosed}
	}
	p.mu.nextID++
	id := p.mu.nextID
	p.mu.calls[id] = ch
	p.mu.Unlock()
	if !c.send(frame{kind: frameRequest, method: m, id: id, payload: payload}) {
		p.forget(id)
		return nil, &NotSentError{errConnClosed}
	}
	select {
	case f, ok := <-ch:
		if !ok {
			return nil, fmt.Errorf("%w: connection to %s broke", ErrUnreachable, p.id)
		}
		switch f.kind {
		case frameError:
			return nil, &RemoteError{string(f.payload)}
		case frameUnserved:
			return nil, unserved(m)
		}
		return f.payload, nil
	case <-ctx.Done():
		p.forget(id)
		c.send(frame{kind: frameCancel, id: id})
		return nil, ctx.Err()
	}
}

func (p *peer) forget(id uint64) {
	p.mu.Lock()
	delete(p.mu.calls, id)
	p.mu.Unlock()
}

func (p *peer) message(m Method, payload []byte) error {
	p.mu.Lock()
	c := p.mu.conn
	if c == nil {
		p.startDialLocked()
	}
	p.mu.Unlock()
	if c == nil || !c.send(frame{kind: frameMessage, method: m, payload: payload}) {
		return &NotSentError{errConnClosed}
	}
	return nil
}
