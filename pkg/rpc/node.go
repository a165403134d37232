package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/stop"
)

// Options configure a Node.
type Options struct {
	// Resolve returns a node's address.
	Resolve func(ids.NodeID) (addr string, ok bool)
	// ServerTLS and ClientTLS secure connections; both nil means plain TCP.
	ServerTLS, ClientTLS *tls.Config
	Logger               *slog.Logger
}

// Node is this process's end of the network: Peers over TCP.
type Node struct {
	o     Options
	group *stop.Group
	self  atomic.Int32
	// cluster is a string, set once known.
	cluster  atomic.Value
	handlers handlerTable

	mu struct {
		sync.Mutex
		peers    map[peerKey]*peer
		inbound  map[*conn]struct{}
		onChange []func(ids.NodeID, bool)
		up       map[ids.NodeID]bool
		closed   bool
	}
}

// handlerSet is what may be registered for one method.
type handlerSet struct {
	call    Handler
	message MessageHandler
	stream  StreamHandler
}

// handlerTable may be added to while it is read: a node answers to join and
// gossip before it has a store.
type handlerTable struct {
	mu    sync.Mutex
	table [256]atomic.Pointer[handlerSet]
}

var noHandlers handlerSet

func (t *handlerTable) get(m Method) *handlerSet {
	if h := t.table[m].Load(); h != nil {
		return h
	}
	return &noHandlers
}

func (t *handlerTable) set(m Method, change func(*handlerSet)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := *t.get(m)
	change(&h)
	t.table[m].Store(&h)
}

type peerKey struct {
	node  ids.NodeID
	class Class
}

// NewNode returns a node that can call; Serve lets it be called.
func NewNode(ctx context.Context, o Options) *Node {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	n := &Node{o: o, group: stop.New(ctx)}
	n.cluster.Store("")
	n.mu.peers = map[peerKey]*peer{}
	n.mu.inbound = map[*conn]struct{}{}
	n.mu.up = map[ids.NodeID]bool{}
	return n
}

// SetIdentity tells the node who it is; call it before other nodes are told.
func (n *Node) SetIdentity(self ids.NodeID, cluster string) {
	n.self.Store(int32(self))
	n.cluster.Store(cluster)
}

// Self implements Peers.
func (n *Node) Self() ids.NodeID { return ids.NodeID(n.self.Load()) }

// Handle implements Peers.
func (n *Node) Handle(m Method, h Handler) {
	n.handlers.set(m, func(s *handlerSet) { s.call = h })
}

// HandleMessage implements Peers.
func (n *Node) HandleMessage(m Method, h MessageHandler) {
	n.handlers.set(m, func(s *handlerSet) { s.message = h })
}

// HandleStream implements Peers.
func (n *Node) HandleStream(m Method, h StreamHandler) {
	n.handlers.set(m, func(s *handlerSet) { s.stream = h })
}

// OnPeerChange implements Peers.
func (n *Node) OnPeerChange(f func(ids.NodeID, bool)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.onChange = append(n.mu.onChange, f)
}

func (n *Node) hello(c Class) hello {
	return hello{node: n.Self(), class: c, cluster: n.cluster.Load().(string)}
}

// setPeer records whether a peer's connection is up and tells who listens.
func (n *Node) setPeer(id ids.NodeID, up bool) {
	n.mu.Lock()
	changed := n.mu.up[id] != up
	n.mu.up[id] = up
	fs := n.mu.onChange
	n.mu.Unlock()
	if !changed {
		return
	}
	for _, f := range fs {
		f(id, up)
	}
}

// peerFor returns the connection holder for a node and class, or nil after Close.
func (n *Node) peerFor(id ids.NodeID, c Class) *peer {
	k := peerKey{id, c}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed {
		return nil
	}
	p := n.mu.peers[k]
	if p == nil {
		p = &peer{n: n, id: id, class: c}
		p.mu.calls = map[uint64]chan frame{}
		n.mu.peers[k] = p
	}
	return p
}

var errNodeClosed = errors.New("this node is stopping")

// Call implements Peers.
func (n *Node) Call(ctx context.Context, to ids.NodeID, c Class, m Method, payload []byte) ([]byte, error) {
	if to == n.Self() && to != 0 {
		h := n.handlers.get(m).call
		if h == nil {
			return nil, unserved(m)
		}
		return h(ctx, to, payload)
	}
	p := n.peerFor(to, c)
	if p == nil {
		return nil, &NotSentError{errNodeClosed}
	}
	return p.call(ctx, m, payload)
}

// Send implements Peers.
func (n *Node) Send(to ids.NodeID, c Class, m Method, payload []byte) error {
	p := n.peerFor(to, c)
	if p == nil {
		return &NotSentError{errNodeClosed}
	}
	return p.message(m, payload)
}

// dial connects to addr and introduces this node.
func (n *Node) dial(ctx context.Context, addr string, c Class) (*conn, hello, error) {
	d := net.Dialer{Timeout: 3 * time.Second}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, hello{}, dialFailed(addr, err)
	}
	if n.o.ClientTLS != nil {
		cfg := n.o.ClientTLS.Clone()
		if host, _, err := net.SplitHostPort(addr); err == nil && cfg.ServerName == "" {
			cfg.ServerName = host
		}
		nc = tls.Client(nc, cfg)
	}
	cn := newConn(nc)
	theirs, err := cn.handshake(ctx, n.hello(c), true)
	if err != nil {
		cn.close()
		return nil, hello{}, handshakeFailed(addr, n.o.ClientTLS != nil, err)
	}
	return cn, theirs, nil
}

// CallAddr calls a node by its address, before its id is known (join, init).
func (n *Node) CallAddr(ctx context.Context, addr string, m Method, payload []byte) ([]byte, error) {
	cn, _, err := n.dial(ctx, addr, Normal)
	if err != nil {
		return nil, &NotSentError{err}
	}
	return n.callOver(ctx, cn, m, payload)
}

// callOver sends one request over a connection of its own, and closes that.
func (n *Node) callOver(ctx context.Context, cn *conn, m Method, payload []byte) ([]byte, error) {
	defer cn.close()
	stopWatch := context.AfterFunc(ctx, cn.close)
	defer stopWatch()
	if err := cn.writeNow(frame{kind: frameRequest, method: m, id: 1, payload: payload}); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnreachable, err)
	}
	// An answer may take long, and a silent caller is taken for a dead one.
	if !n.group.Go("rpc ping", cn.keepAlive) {
		return nil, errNodeClosed
	}
	for {
		f, err := readFrame(cn.br, maxFrameBytes)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("%w: %v", ErrUnreachable, err)
		}
		switch f.kind {
		case frameAnswer:
			return f.payload, nil
		case frameError:
			return nil, &RemoteError{string(f.payload)}
		}
	}
}

// streamChunk is the size of a stream's pieces.
const streamChunk = 256 << 10

// Stream implements Peers. A stream has a connection of its own, so that TCP's
// flow control is the stream's.
func (n *Node) Stream(ctx context.Context, to ids.NodeID, m Method, header []byte, r io.Reader) ([]byte, error) {
	addr, ok := n.o.Resolve(to)
	if !ok {
		return nil, &NotSentError{fmt.Errorf("no address for %s", to)}
	}
	cn, _, err := n.dial(ctx, addr, Bulk)
	if err != nil {
		return nil, &NotSentError{err}
	}
	defer cn.close()
	stopWatch := context.AfterFunc(ctx, cn.close)
	defer stopWatch()
	if err := cn.writeNow(frame{kind: frameStream, method: m, payload: header}); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnreachable, err)
	}
	buf := make([]byte, streamChunk)
	for {
		k, err := io.ReadFull(r, buf)
		if k > 0 {
			if werr := cn.writeNow(frame{kind: frameData, payload: buf[:k]}); werr != nil {
				return nil, fmt.Errorf("%w: %v", ErrUnreachable, werr)
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the stream's source: %w", err)
		}
	}
	if err := cn.writeNow(frame{kind: frameDataEnd}); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnreachable, err)
	}
	f, err := readFrame(cn.br, maxFrameBytes)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("%w: %v", ErrUnreachable, err)
	case f.kind == frameError:
		return nil, &RemoteError{string(f.payload)}
	}
	return f.payload, nil
}

// Close ends every connection and waits for the goroutines and handlers.
func (n *Node) Close() {
	n.mu.Lock()
	n.mu.closed = true
	peers := n.mu.peers
	n.mu.peers = map[peerKey]*peer{}
	inbound := make([]*conn, 0, len(n.mu.inbound))
	for c := range n.mu.inbound {
		inbound = append(inbound, c)
	}
	n.mu.Unlock()
	for _, p := range peers {
		p.drop(errNodeClosed)
	}
	for _, c := range inbound {
		c.close()
	}
	n.group.Stop()
}
