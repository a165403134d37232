package transport

import (
	"errors"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// ErrClosed ends the calls of a closed endpoint or transport.
var ErrClosed = errors.New("transport: closed")

// errTimeout ends a call that nobody answered.
var errTimeout = errors.New("transport: request timed out")

// call is a request under way. Its end closes done, or is told to then.
type call struct {
	id   uint64
	node ids.NodeID
	ep   *Endpoint
	beat bool
	resp any
	err  error
	done chan struct{}
	then func()
}

func (c *call) end(resp any, err error) {
	c.resp, c.err = resp, err
	if c.then != nil {
		c.then()
	} else {
		close(c.done)
	}
}

// take removes a call, and reports whether it was still open: only who takes it
// may finish it.
func (t *Transport) take(id uint64) (*call, bool) {
	t.callMu.Lock()
	defer t.callMu.Unlock()
	c, ok := t.calls[id]
	delete(t.calls, id)
	return c, ok
}

func (t *Transport) finish(c *call, resp any, err error) {
	if _, ok := t.take(c.id); ok {
		c.end(resp, err)
	}
}

func (t *Transport) failCalls(which func(*call) bool, err error) {
	t.callMu.Lock()
	var doomed []*call
	for _, c := range t.calls {
		if which(c) {
			doomed = append(doomed, c)
		}
	}
	t.callMu.Unlock()
	for _, c := range doomed {
		t.finish(c, nil, err)
	}
}

func (t *Transport) answered(f *frame) {
	c, ok := t.take(f.request)
	if !ok {
		return // too late
	}
	c.end(decodeAnswer(f))
}

// wait waits for a call's end.
func (c *call) wait(t *Transport, timeout time.Duration) (any, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		t.finish(c, nil, errTimeout)
		<-c.done
	case <-c.ep.closed:
		t.finish(c, nil, ErrClosed)
		<-c.done
	}
	return c.resp, c.err
}

// startCall sends a request.
func (ep *Endpoint) startCall(to replica, k kind, body []byte) *call {
	c := &call{id: ep.t.next.Add(1), node: to.node, ep: ep, beat: k == kindHeartbeat, done: make(chan struct{})}
	ep.send(c, to, k, body)
	return c
}

// send sends a call's request.
func (ep *Endpoint) send(c *call, to replica, k kind, body []byte) {
	t := ep.t
	t.callMu.Lock()
	t.calls[c.id] = c
	t.callMu.Unlock()
	select {
	case <-ep.closed:
		t.finish(c, nil, ErrClosed)
		return
	default:
	}
	f := frame{kind: k, rng: ep.rng, from: ep.self, to: to.id, request: c.id, body: body}
	if k == kindHeartbeat {
		t.queueBeat(to.node, &f)
	} else if err := t.send(to.node, &f); err != nil {
		t.finish(c, nil, err)
	}
}

// unreachable reports whether an error means that waiting for the peer helps.
func unreachable(err error) bool {
	return errors.Is(err, rpc.ErrUnreachable) || errors.Is(err, errTimeout)
}

// waitPeer waits until the peer may be reached, for a moment at most.
func (ep *Endpoint) waitPeer(n ids.NodeID, d time.Duration) {
	ep.t.peerMu.Lock()
	ch := ep.t.peerLocked(n).changed
	ep.t.peerMu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ch:
	case <-timer.C:
	case <-ep.closed:
	}
}
