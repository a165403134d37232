package rpc

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
)

var errCut = errors.New("link is cut")

// MemNetwork joins MemNodes in one process. Links can be cut and delayed, nodes
// crashed; it opens no socket, so virtual time runs through it.
type MemNetwork struct {
	mu    sync.Mutex
	nodes map[ids.NodeID]*MemNode
	cut   map[[2]ids.NodeID]bool
	delay time.Duration
}

// NewMemNetwork returns an empty network.
func NewMemNetwork() *MemNetwork {
	return &MemNetwork{nodes: map[ids.NodeID]*MemNode{}, cut: map[[2]ids.NodeID]bool{}}
}

// SetDelay makes each message take d.
func (w *MemNetwork) SetDelay(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = d
}

// Cut breaks or heals the link from one node to another, in that direction: the
// sender notices nothing but silence.
func (w *MemNetwork) Cut(from, to ids.NodeID, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[[2]ids.NodeID{from, to}] = cut
}

// Isolate cuts or heals all links of a node.
func (w *MemNetwork) Isolate(n ids.NodeID, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for o := range w.nodes {
		if o != n {
			w.cut[[2]ids.NodeID{n, o}] = cut
			w.cut[[2]ids.NodeID{o, n}] = cut
		}
	}
}

// Node adds a node, replacing an earlier (closed) one of the same id. Its peers
// hear that it is up once it is started.
func (w *MemNetwork) Node(id ids.NodeID) *MemNode {
	ctx, cancel := context.WithCancel(context.Background())
	n := &MemNode{w: w, id: id, ctx: ctx, cancel: cancel, queues: map[ids.NodeID]*memQueue{}}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[id] = n
	return n
}

// target returns the node that a message may be delivered to now.
func (w *MemNetwork) target(from, to ids.NodeID) (n *MemNode, delay time.Duration, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = w.nodes[to]
	if n != nil && n.ctx.Err() != nil {
		n = nil
	}
	return n, w.delay, w.cut[[2]ids.NodeID{from, to}]
}

func (w *MemNetwork) notify(id ids.NodeID, up bool) {
	w.mu.Lock()
	var fs []func(ids.NodeID, bool)
	for o, n := range w.nodes {
		if o != id && n.ctx.Err() == nil && !w.cut[[2]ids.NodeID{o, id}] {
			fs = append(fs, n.onChange...)
		}
	}
	w.mu.Unlock()
	for _, f := range fs {
		f(id, up)
	}
}

// MemNode is Peers within a MemNetwork.
type MemNode struct {
	w        *MemNetwork
	id       ids.NodeID
	ctx      context.Context // ends at Close
	cancel   context.CancelFunc
	handlers handlerTable
	onChange []func(ids.NodeID, bool)
	wg       sync.WaitGroup

	mu     sync.Mutex
	closed bool
	queues map[ids.NodeID]*memQueue
}

// memQueue delivers one-way messages to one peer in order.
type memQueue struct {
	mu      sync.Mutex
	items   []memMessage
	running bool
}

type memMessage struct {
	m       Method
	payload []byte
}

// Self implements Peers.
func (n *MemNode) Self() ids.NodeID { return n.id }

// Handle implements Peers.
func (n *MemNode) Handle(m Method, h Handler) {
	n.handlers.set(m, func(s *handlerSet) { s.call = h })
}

// HandleMessage implements Peers.
func (n *MemNode) HandleMessage(m Method, h MessageHandler) {
	n.handlers.set(m, func(s *handlerSet) { s.message = h })
}

// HandleStream implements Peers.
func (n *MemNode) HandleStream(m Method, h StreamHandler) {
	n.handlers.set(m, func(s *handlerSet) { s.stream = h })
}

// OnPeerChange implements Peers.
func (n *MemNode) OnPeerChange(f func(ids.NodeID, bool)) { n.onChange = append(n.onChange, f) }

// Start tells the other nodes that this one is up.
func (n *MemNode) Start() { n.w.notify(n.id, true) }

// Close takes the node off the network, as a crash would: peers hear that it is
// down. It waits for the handlers.
func (n *MemNode) Close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.cancel()
	n.w.notify(n.id, false)
	n.wg.Wait()
}

// enter keeps Close waiting while a handler runs.
func (n *MemNode) enter() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.wg.Add(1)
	return true
}

func (n *MemNode) wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.ctx.Done():
		return &NotSentError{errNodeClosed}
	}
}

// resendEvery is how often a call looks whether its link is whole again: what is
// under way arrives then, as it does over TCP.
const resendEvery = 20 * time.Millisecond

// pass waits while the link between two nodes is cut.
func (n *MemNode) pass(ctx context.Context, from, to ids.NodeID) error {
	for {
		if _, _, cut := n.w.target(from, to); !cut {
			return nil
		}
		if err := n.wait(ctx, resendEvery); err != nil {
			return err
		}
	}
}

// reach waits for the delay and returns the node to deliver to.
func (n *MemNode) reach(ctx context.Context, to ids.NodeID) (*MemNode, error) {
	if n.ctx.Err() != nil {
		return nil, &NotSentError{errNodeClosed}
	}
	if err := n.pass(ctx, n.id, to); err != nil {
		return nil, err
	}
	t, delay, _ := n.w.target(n.id, to)
	if t == nil {
		return nil, &NotSentError{fmt.Errorf("%s is down", to)}
	}
	return t, n.wait(ctx, delay)
}

// Call implements Peers.
func (n *MemNode) Call(ctx context.Context, to ids.NodeID, _ Class, m Method, payload []byte) ([]byte, error) {
	t := n
	if to != n.id {
		var err error
		if t, err = n.reach(ctx, to); err != nil {
			return nil, err
		}
	}
	h := t.handlers.get(m).call
	if h == nil {
		return nil, unserved(m)
	}
	if !t.enter() {
		return nil, &NotSentError{fmt.Errorf("%s is down", to)}
	}
	type result struct {
		b   []byte
		err error
	}
	ch := make(chan result, 1)
	hctx, cancel := context.WithCancel(ctx)
	stopWatch := context.AfterFunc(t.ctx, cancel)
	go func() {
		defer t.wg.Done()
		defer cancel()
		defer stopWatch()
		b, err := h(hctx, n.id, bytes.Clone(payload))
		ch <- result{b, err}
	}()
	select {
	case r := <-ch:
		if n.pass(ctx, to, n.id) != nil {
			return nil, cmp.Or(ctx.Err(), fmt.Errorf("%w: %s", ErrUnreachable, errNodeClosed))
		}
		if r.err != nil {
			return nil, &RemoteError{r.err.Error()}
		}
		return r.b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.ctx.Done():
		return nil, fmt.Errorf("%w: %s went down", ErrUnreachable, to)
	}
}

// Send implements Peers.
func (n *MemNode) Send(to ids.NodeID, _ Class, m Method, payload []byte) error {
	t, _, cut := n.w.target(n.id, to)
	if n.ctx.Err() != nil || t == nil {
		return &NotSentError{fmt.Errorf("%s is down", to)}
	}
	if cut {
		return nil // lost in silence
	}
	n.mu.Lock()
	q := n.queues[to]
	if q == nil {
		q = &memQueue{}
		n.queues[to] = q
	}
	n.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(q.items, memMessage{m, bytes.Clone(payload)})
	if !q.running && n.enter() {
		q.running = true
		go n.deliver(q, to)
	}
	return nil
}

// deliver hands the queued messages over, in order, until there are none.
func (n *MemNode) deliver(q *memQueue, to ids.NodeID) {
	defer n.wg.Done()
	for {
		q.mu.Lock()
		if len(q.items) == 0 || n.ctx.Err() != nil {
			q.items, q.running = nil, false
			q.mu.Unlock()
			return
		}
		items := q.items
		q.items = nil
		q.mu.Unlock()
		_, delay, _ := n.w.target(n.id, to)
		if n.wait(context.Background(), delay) != nil {
			continue
		}
		for _, it := range items {
			t, _, cut := n.w.target(n.id, to)
			if t == nil || cut || !t.enter() {
				continue
			}
			if h := t.handlers.get(it.m).message; h != nil {
				h(n.id, it.payload)
			}
			t.wg.Done()
		}
	}
}

// Stream implements Peers.
func (n *MemNode) Stream(ctx context.Context, to ids.NodeID, m Method, header []byte, r io.Reader) ([]byte, error) {
	t, err := n.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	h := t.handlers.get(m).stream
	if h == nil {
		return nil, &RemoteError{fmt.Sprintf("no stream handler for method %d", m)}
	}
	if !t.enter() {
		return nil, &NotSentError{fmt.Errorf("%s is down", to)}
	}
	defer t.wg.Done()
	hctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	b, err := h(hctx, n.id, bytes.Clone(header), &memStream{ctx: hctx, n: n, to: to, r: r})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case t.ctx.Err() != nil:
		return nil, fmt.Errorf("%w: %s went down", ErrUnreachable, to)
	case err != nil:
		return nil, &RemoteError{err.Error()}
	}
	return b, nil
}

// memStream breaks off when the link or either end does.
type memStream struct {
	ctx context.Context
	n   *MemNode
	to  ids.NodeID
	r   io.Reader
}

func (s *memStream) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if _, _, cut := s.n.w.target(s.n.id, s.to); cut {
		return 0, errCut
	}
	return s.r.Read(p)
}
