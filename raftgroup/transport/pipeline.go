package transport

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// pipelineDepth bounds the appends under way to one follower.
const pipelineDepth = 64

// pipeline sends appends without waiting, and hands out their answers in order.
// A lost append is handed out unsuccessful, which makes Raft leave the pipeline.
type pipeline struct {
	ep   *Endpoint
	id   raft.ServerID
	to   replica
	ctx  context.Context
	end  context.CancelFunc
	sent chan *pipelined
	out  chan raft.AppendFuture
}

type pipelined struct {
	call  *call
	start time.Time
	req   *raft.AppendEntriesRequest
	resp  *raft.AppendEntriesResponse
	size  int
	err   error
}

func (p *pipelined) Error() error                          { return p.err }
func (p *pipelined) Start() time.Time                      { return p.start }
func (p *pipelined) Request() *raft.AppendEntriesRequest   { return p.req }
func (p *pipelined) Response() *raft.AppendEntriesResponse { return p.resp }

// AppendEntriesPipeline implements raft.Transport.
func (ep *Endpoint) AppendEntriesPipeline(id raft.ServerID, _ raft.ServerAddress) (raft.AppendPipeline, error) {
	p := &pipeline{
		ep: ep, id: id, to: resolve(id),
		sent: make(chan *pipelined, pipelineDepth),
		out:  make(chan raft.AppendFuture, pipelineDepth),
	}
	p.ctx, p.end = context.WithCancel(ep.stop.Context())
	if !ep.stop.Go("raft pipeline", func(context.Context) { p.collect() }) {
		p.end()
		return nil, ErrClosed
	}
	return p, nil
}

// AppendEntries implements raft.AppendPipeline.
func (p *pipeline) AppendEntries(a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if p.ctx.Err() != nil {
		return nil, raft.ErrPipelineShutdown
	}
	p.ep.trim(a)
	body := encodeRequest(nil, a)
	f := &pipelined{start: time.Now(), req: a, resp: resp, size: len(body)}
	f.call = p.ep.startCall(p.to, kindAppend, body)
	select {
	case p.sent <- f:
		return f, nil
	case <-p.ctx.Done():
		return nil, raft.ErrPipelineShutdown
	}
}

func (p *pipeline) collect() {
	for {
		select {
		case <-p.ctx.Done():
			return
		case f := <-p.sent:
			r, err := f.call.wait(p.ep.t, appendTimeout(f.size))
			if f.err = err; err == nil {
				*f.resp = *r.(*raft.AppendEntriesResponse)
				p.ep.noteAck(p.id, f.req, f.resp)
			}
			select {
			case p.out <- f:
			case <-p.ctx.Done():
				return
			}
		}
	}
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.out }

// Close implements raft.AppendPipeline. It does not wait: an answer under way
// ends by itself.
func (p *pipeline) Close() error {
	p.end()
	return nil
}
