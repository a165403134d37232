package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/pamirdb/pamir/pkg/ids"
)

// Serve accepts connections from other nodes until l closes. Closing the node
// does not close l: whoever opened it does.
func (n *Node) Serve(l net.Listener) error {
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		if n.o.ServerTLS != nil {
			nc = tls.Server(nc, n.o.ServerTLS)
		}
		c := newConn(nc)
		if !n.track(c) {
			c.close()
			return nil
		}
		if !n.group.Go("rpc serve", func(ctx context.Context) { n.serveConn(ctx, c) }) {
			n.untrack(c)
		}
	}
}

func (n *Node) track(c *conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed {
		return false
	}
	n.mu.inbound[c] = struct{}{}
	return true
}

func (n *Node) untrack(c *conn) {
	c.close()
	n.mu.Lock()
	delete(n.mu.inbound, c)
	n.mu.Unlock()
}

// serveConn serves one inbound connection.
func (n *Node) serveConn(ctx context.Context, c *conn) {
	defer n.untrack(c)
	theirs, err := c.handshake(ctx, n.hello(Normal), false)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			n.o.Logger.Warn("refused a node connection", "remote", c.nc.RemoteAddr().String(), "err", err)
		}
		return
	}
	if !n.group.Go("rpc write", func(context.Context) { c.writeLoop() }) {
		return
	}
	cctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &inbound{n: n, c: c, from: theirs.node, ctx: cctx}
	s.mu.cancels = map[uint64]context.CancelFunc{}
	for {
		f, err := c.read()
		if err != nil {
			return
		}
		if f.kind == frameStream {
			s.stream(f)
			return
		}
		s.frame(f)
	}
}

// inbound is the server's side of one connection.
type inbound struct {
	n    *Node
	c    *conn
	from ids.NodeID
	ctx  context.Context // ends with the connection

	mu struct {
		sync.Mutex
		cancels map[uint64]context.CancelFunc
	}
}

func (s *inbound) frame(f frame) {
	switch f.kind {
	case framePing:
		s.c.send(frame{kind: framePong})
	case frameMessage:
		if h := s.n.handlers.get(f.method).message; h != nil {
			h(s.from, f.payload)
		}
	case frameRequest:
		s.request(f)
	case frameCancel:
		s.mu.Lock()
		cancel := s.mu.cancels[f.id]
		s.mu.Unlock()
		if cancel != nil {
			cancel()
		}
	}
}

func (s *inbound) request(f frame) {
	h := s.n.handlers.get(f.method).call
	if h == nil {
		s.c.send(frame{kind: frameUnserved, id: f.id, method: f.method})
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.mu.Lock()
	s.mu.cancels[f.id] = cancel
	s.mu.Unlock()
	started := s.n.group.Go("rpc request", func(context.Context) {
		answer, err := h(ctx, s.from, f.payload)
		s.mu.Lock()
		delete(s.mu.cancels, f.id)
		s.mu.Unlock()
		cancel()
		out := frame{kind: frameAnswer, id: f.id, payload: answer}
		if err != nil {
			out = frame{kind: frameError, id: f.id, payload: []byte(err.Error())}
		}
		s.c.send(out)
	})
	if !started {
		cancel() // the connection is about to close
	}
}

// stream serves a connection that turned into a stream.
func (s *inbound) stream(open frame) {
	h := s.n.handlers.get(open.method).stream
	if h == nil {
		s.c.send(frame{kind: frameError, payload: fmt.Appendf(nil, "no stream handler for method %d", open.method)})
		return
	}
	r := &streamReader{c: s.c}
	answer, err := h(s.ctx, s.from, open.payload, r)
	if err == nil && !r.ended {
		_, err = io.Copy(io.Discard, r)
	}
	out := frame{kind: frameAnswer, payload: answer}
	if err != nil {
		out = frame{kind: frameError, payload: []byte(err.Error())}
	}
	// The write loop may be closed before it has written: write here.
	_ = s.c.writeNow(out) // a sender that left needs no answer
}

// streamReader reads a stream's pieces; only a complete stream ends in io.EOF.
type streamReader struct {
	c     *conn
	rest  []byte
	ended bool
}

func (r *streamReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.ended {
			return 0, io.EOF
		}
		f, err := r.c.read()
		switch {
		case err != nil:
			return 0, fmt.Errorf("stream broke off: %w", err)
		case f.kind == frameDataEnd:
			r.ended = true
		case f.kind == frameData:
			r.rest = f.payload
		}
	}
	k := copy(p, r.rest)
	r.rest = r.rest[k:]
	return k, nil
}
