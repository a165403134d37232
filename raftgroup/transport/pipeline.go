package transport

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// pipelineDepth bounds the appends under way to one follower.
	pipelineDepth = 64
	// pipelineBacklog bounds the answers that Raft has not looked at yet.
	pipelineBacklog = 4 * pipelineDepth
)

// pipeline sends appends without waiting, and hands out their answers in order.
// A lost append is handed out unsuccessful, which makes Raft leave the pipeline.
//
// Answers are handed out by whoever brings them, the connection's reader as a
// rule: a goroutine of the pipeline's own would have to be woken for each.
type pipeline struct {
	ep    *Endpoint
	id    raft.ServerID
	to    replica
	slots chan struct{}
	out   chan raft.AppendFuture
	done  chan struct{}

	mu      sync.Mutex
	sent    []*pipelined // not handed out yet, in order
	closed  bool
	timeout *time.Timer // for the first of sent
	armed   bool
}

type pipelined struct {
	call     *call
	start    time.Time
	deadline time.Time
	req      *raft.AppendEntriesRequest
	resp     *raft.AppendEntriesResponse
	ended    bool
	err      error
}

func (p *pipelined) Error() error                          { return p.err }
func (p *pipelined) Start() time.Time                      { return p.start }
func (p *pipelined) Request() *raft.AppendEntriesRequest   { return p.req }
func (p *pipelined) Response() *raft.AppendEntriesResponse { return p.resp }

// AppendEntriesPipeline implements raft.Transport.
func (ep *Endpoint) AppendEntriesPipeline(id raft.ServerID, _ raft.ServerAddress) (raft.AppendPipeline, error) {
	if ep.stop.Context().Err() != nil {
		return nil, ErrClosed
	}
	return &pipeline{
		ep: ep, id: id, to: resolve(id),
		slots: make(chan struct{}, pipelineDepth),
		out:   make(chan raft.AppendFuture, pipelineBacklog),
		done:  make(chan struct{}),
	}, nil
}

// AppendEntries implements raft.AppendPipeline.
func (p *pipeline) AppendEntries(a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	select {
	case p.slots <- struct{}{}:
	case <-p.done:
		return nil, raft.ErrPipelineShutdown
	case <-p.ep.closed:
		return nil, raft.ErrPipelineShutdown
	}
	p.ep.trim(a)
	body := encodeRequest(nil, a)
	f := &pipelined{start: time.Now(), req: a, resp: resp}
	f.deadline = f.start.Add(appendTimeout(len(body)))
	f.call = &call{id: p.ep.t.next.Add(1), node: p.to.node, ep: p.ep}
	f.call.then = func() { p.answered(f) }
	if !p.expect(f) {
		<-p.slots
		return nil, raft.ErrPipelineShutdown
	}
	p.ep.send(f.call, p.to, kindAppend, body)
	select {
	case <-p.done: // who closed it may have come before send
		p.ep.t.finish(f.call, nil, ErrClosed)
	default:
	}
	return f, nil
}

// expect puts an append that is about to be sent in line.
func (p *pipeline) expect(f *pipelined) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.sent = append(p.sent, f)
	p.armLocked(f.start)
	return true
}

// armLocked sees to it that the timer runs while anything is awaited. It is left
// running when answers come: by the time it fires it looks what is awaited then.
func (p *pipeline) armLocked(now time.Time) {
	if p.armed || p.closed || len(p.sent) == 0 {
		return
	}
	p.armed = true
	d := p.sent[0].deadline.Sub(now)
	if p.timeout == nil {
		p.timeout = time.AfterFunc(d, p.expire)
	} else {
		p.timeout.Reset(d)
	}
}

// expire ends the calls that took too long.
func (p *pipeline) expire() {
	now := time.Now()
	p.mu.Lock()
	p.armed = false
	var late []*call
	for _, f := range p.sent {
		if !f.ended && !f.deadline.After(now) {
			late = append(late, f.call)
		}
	}
	if len(late) == 0 {
		p.armLocked(now)
	}
	p.mu.Unlock()
	for _, c := range late {
		p.ep.t.finish(c, nil, errTimeout)
	}
}

// answered takes an append's end, and hands out what has ended up to the first
// that has not.
func (p *pipeline) answered(f *pipelined) {
	<-p.slots
	f.err = f.call.err
	if resp, ok := f.call.resp.(*raft.AppendEntriesResponse); ok && f.err == nil {
		*f.resp = *resp
		p.ep.noteAck(p.id, f.req, f.resp)
	} else if f.err == nil {
		f.err = errMalformed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f.ended = true
	for !p.closed && len(p.sent) > 0 && p.sent[0].ended {
		select {
		case p.out <- p.sent[0]:
			p.sent[0] = nil
			p.sent = p.sent[1:]
		default:
			// Raft has not looked for long. It starts over once it sees the end.
			p.closeLocked()
		}
	}
	p.armLocked(time.Now())
}

// closeLocked makes later appends fail; nothing is handed out from then on.
func (p *pipeline) closeLocked() {
	if !p.closed {
		p.closed = true
		close(p.done)
		if p.timeout != nil {
			p.timeout.Stop()
		}
	}
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.out }

// Close implements raft.AppendPipeline. It does not wait: an answer under way
// finds nobody.
func (p *pipeline) Close() error {
	p.mu.Lock()
	sent := p.sent
	p.sent = nil
	p.closeLocked()
	p.mu.Unlock()
	for _, f := range sent {
		p.ep.t.finish(f.call, nil, ErrClosed)
	}
	return nil
}
