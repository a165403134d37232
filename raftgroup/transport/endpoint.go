package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/stop"
)

// replica names a peer's replica.
type replica struct {
	node ids.NodeID
	id   ids.ReplicaID
}

// Endpoint is one group's raft.Transport. A group that opens its Raft instance
// again takes a new endpoint.
type Endpoint struct {
	t      *Transport
	rng    ids.RangeID
	self   ids.ReplicaID
	addr   raft.ServerAddress
	group  Group
	stop   *stop.Group
	closed <-chan struct{}

	consumer chan raft.RPC
	answers  chan pendingAnswer
	waiting  atomic.Int64 // requests between enqueue and answer
	beatFn   atomic.Pointer[func(raft.RPC)]
	// succeeding is set while a takeover from a dead leader's node is under way.
	succeeding atomic.Bool

	mu      sync.Mutex
	delayed []request // waiting for room in the engine, in order
	acked   map[raft.ServerID]Ack
}

// Ack is what a follower is known to hold.
type Ack struct {
	Term, Index uint64
	At          time.Time
}

// request is an inbound request.
type request struct {
	node  ids.NodeID
	frame frame
	cmd   any
}

type pendingAnswer struct {
	req request
	ch  chan raft.RPCResponse
}

// queueLen bounds the requests that wait for one group.
const queueLen = 512

var (
	_ raft.Transport   = (*Endpoint)(nil)
	_ raft.WithPreVote = (*Endpoint)(nil)
	_ raft.WithClose   = (*Endpoint)(nil)
)

// Open registers a group's endpoint. node is this node's id.
func (t *Transport) Open(r ids.RangeID, node ids.NodeID, self ids.ReplicaID, g Group) (*Endpoint, error) {
	ep := &Endpoint{
		t:        t,
		rng:      r,
		self:     self,
		addr:     raft.ServerAddress(ServerID(node, self)),
		group:    g,
		stop:     stop.New(t.stop.Context()),
		consumer: make(chan raft.RPC, queueLen),
		answers:  make(chan pendingAnswer, queueLen),
		acked:    map[raft.ServerID]Ack{},
	}
	ep.closed = ep.stop.Done()
	t.mu.Lock()
	if t.endpoints[r] != nil {
		t.mu.Unlock()
		return nil, fmt.Errorf("transport: %s has an endpoint", r)
	}
	t.endpoints[r] = ep
	votes := t.early[r]
	delete(t.early, r)
	t.mu.Unlock()
	ep.stop.Go("raft answers", ep.answerLoop)
	for _, v := range votes {
		if err := t.receive(v.from, &v.frame); err != nil {
			t.sendRefusal(v.from, &v.frame, err)
		}
	}
	return ep, nil
}

// Close ends the endpoint: its calls fail, and later messages find no group. Raft
// calls it in its shutdown, too.
func (ep *Endpoint) Close() error {
	ep.t.mu.Lock()
	if ep.t.endpoints[ep.rng] == ep {
		delete(ep.t.endpoints, ep.rng)
	}
	ep.t.mu.Unlock()
	ep.t.failCalls(func(c *call) bool { return c.ep == ep }, ErrClosed)
	ep.stop.Stop()
	return nil
}

// enqueue hands a request to Raft's main loop. Appends with entries wait for
// room in the engine first, and what comes after them waits behind them.
func (ep *Endpoint) enqueue(r request) error {
	if ep.waiting.Add(1) > queueLen {
		ep.waiting.Add(-1)
		return ErrBusy
	}
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if a, ok := r.cmd.(*raft.AppendEntriesRequest); len(ep.delayed) > 0 || ok && len(a.Entries) > 0 && ep.crowded() {
		ep.delayed = append(ep.delayed, r)
		if len(ep.delayed) == 1 {
			ep.stop.Go("raft delayed appends", ep.waitRoom)
		}
		return nil
	}
	ep.push(r)
	return nil
}

// push gives r to Raft; the caller holds mu, so that answers are awaited in the
// order of requests. Neither channel can be full.
func (ep *Endpoint) push(r request) {
	ch := make(chan raft.RPCResponse, 1)
	ep.answers <- pendingAnswer{r, ch}
	ep.consumer <- raft.RPC{Command: r.cmd, RespChan: ch}
}

var expired = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func (ep *Endpoint) crowded() bool {
	return ep.t.opts.WaitRoom != nil && ep.t.opts.WaitRoom(expired) != nil
}

func (ep *Endpoint) waitRoom(ctx context.Context) {
	if err := ep.t.opts.WaitRoom(ctx); err != nil && ctx.Err() != nil {
		return
	}
	ep.mu.Lock()
	defer ep.mu.Unlock()
	for _, r := range ep.delayed {
		ep.push(r)
	}
	ep.delayed = nil
}

// answerLoop sends Raft's answers. Raft answers in order, but for what it never
// answers because it shuts down.
func (ep *Endpoint) answerLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-ep.answers:
			select {
			case <-ctx.Done():
				return
			case r := <-p.ch:
				ep.waiting.Add(-1)
				ep.answer(p.req, r)
			}
		}
	}
}

func (ep *Endpoint) answer(req request, r raft.RPCResponse) {
	f := &req.frame
	if r.Error != nil {
		ep.t.sendRefusal(req.node, f, r.Error)
		return
	}
	a := frame{rng: f.rng, from: f.to, to: f.from, request: f.request}
	a.body, a.kind = encodeAnswer(nil, r.Response)
	_ = ep.t.send(req.node, &a) // the sender's timeout covers a loss
}

// beat runs the heartbeat handler. done is false when the queue answers.
func (ep *Endpoint) beat(cmd any, r request) (resp any, done bool, err error) {
	a := cmd.(*raft.AppendEntriesRequest)
	fn := ep.beatFn.Load()
	if fn == nil || a.Term > ep.group.CurrentTerm() {
		return nil, false, ep.enqueue(r)
	}
	ch := make(chan raft.RPCResponse, 1)
	(*fn)(raft.RPC{Command: a, RespChan: ch})
	select {
	case r := <-ch:
		return r.Response, true, r.Error
	default:
		return nil, true, ErrNotReady // shutting down
	}
}

// Inject hands Raft a command as if a peer had sent it.
func (ep *Endpoint) Inject(cmd any) {
	select {
	case ep.consumer <- raft.RPC{Command: cmd, RespChan: make(chan raft.RPCResponse, 1)}:
	default:
	}
}

// Consumer implements raft.Transport.
func (ep *Endpoint) Consumer() <-chan raft.RPC { return ep.consumer }

// LocalAddr implements raft.Transport.
func (ep *Endpoint) LocalAddr() raft.ServerAddress { return ep.addr }

// EncodePeer implements raft.Transport. The address is the id: Raft stores it as
// the vote, and this package resolves it.
func (ep *Endpoint) EncodePeer(id raft.ServerID, _ raft.ServerAddress) []byte { return []byte(id) }

// DecodePeer implements raft.Transport.
func (ep *Endpoint) DecodePeer(b []byte) raft.ServerAddress { return raft.ServerAddress(b) }

// SetHeartbeatHandler implements raft.Transport.
func (ep *Endpoint) SetHeartbeatHandler(f func(raft.RPC)) { ep.beatFn.Store(&f) }

func resolve(id raft.ServerID) replica {
	n, r := ParseServerID(string(id))
	return replica{n, r}
}

// isHeartbeat tells Raft's heartbeats: appends with nothing in them.
func isHeartbeat(a *raft.AppendEntriesRequest) bool {
	return a.PrevLogEntry == 0 && a.LeaderCommitIndex == 0 && len(a.Entries) == 0
}

// AppendEntries implements raft.Transport. Raft backs off for up to ten seconds
// from a follower that fails, which would leave a restarted node behind for as
// long: so an append waits for the follower's return and is sent again.
func (ep *Endpoint) AppendEntries(id raft.ServerID, _ raft.ServerAddress, a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	to := resolve(id)
	if isHeartbeat(a) {
		return ep.heartbeat(to, a, resp)
	}
	ep.trim(a)
	body := encodeRequest(nil, a)
	for end := time.Now().Add(appendGiveUp); ; {
		r, err := ep.startCall(to, kindAppend, body).wait(ep.t, appendTimeout(len(body)))
		if err == nil {
			*resp = *r.(*raft.AppendEntriesResponse)
			ep.noteAck(id, a, resp)
			return nil
		}
		retry := unreachable(err) || errors.Is(err, ErrNotReady) || errors.Is(err, ErrBusy)
		if !retry || time.Now().After(end) || !ep.group.Leads(a.Term) || ep.stop.Context().Err() != nil {
			return err
		}
		if !errors.Is(err, errTimeout) {
			ep.waitPeer(to.node, 200*time.Millisecond)
		}
	}
}

// appendTimeout allows for slow links and disks.
func appendTimeout(size int) time.Duration {
	return callTimeout + time.Duration(size)*time.Second/(4<<20)
}

// appendBytes bounds one append's entries; Raft bounds only their number. It
// looks at the request's entries afterwards, so they may be cut short.
const appendBytes = 2 << 20

func (ep *Endpoint) trim(a *raft.AppendEntriesRequest) {
	a.LeaderCommitIndex = min(a.LeaderCommitIndex, ep.group.Durable())
	size := 0
	for i, e := range a.Entries {
		if size += len(e.Data); size > appendBytes && i > 0 {
			a.Entries = a.Entries[:i]
			return
		}
	}
}

func (ep *Endpoint) heartbeat(to replica, a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	r, err := ep.startCall(to, kindHeartbeat, encodeRequest(nil, a)).wait(ep.t, callTimeout)
	if err != nil {
		return err
	}
	*resp = *r.(*raft.AppendEntriesResponse)
	if resp.Term > a.Term {
		ep.group.StaleTerm()
	}
	return nil
}

func (ep *Endpoint) noteAck(id raft.ServerID, a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) {
	if !resp.Success {
		return
	}
	index := a.PrevLogEntry
	if n := len(a.Entries); n > 0 {
		index = a.Entries[n-1].Index
	}
	ep.setAck(id, a.Term, index)
}

func (ep *Endpoint) setAck(id raft.ServerID, term, index uint64) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	old := ep.acked[id]
	if old.Term == term && old.Index > index {
		index = old.Index
	}
	ep.acked[id] = Ack{Term: term, Index: index, At: time.Now()}
}

// Acked returns what a follower acknowledged in a term.
func (ep *Endpoint) Acked(id raft.ServerID, term uint64) Ack {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if a := ep.acked[id]; a.Term == term {
		return a
	}
	return Ack{}
}

// RequestVote implements raft.Transport.
func (ep *Endpoint) RequestVote(id raft.ServerID, _ raft.ServerAddress, a *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	r, err := ep.startCall(resolve(id), kindVote, encodeRequest(nil, a)).wait(ep.t, callTimeout)
	if err == nil {
		*resp = *r.(*raft.RequestVoteResponse)
	}
	return err
}

// RequestPreVote implements raft.WithPreVote.
func (ep *Endpoint) RequestPreVote(id raft.ServerID, _ raft.ServerAddress, a *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	r, err := ep.startCall(resolve(id), kindPreVote, encodeRequest(nil, a)).wait(ep.t, callTimeout)
	if err == nil {
		*resp = *r.(*raft.RequestPreVoteResponse)
	}
	return err
}

// TimeoutNow implements raft.Transport.
func (ep *Endpoint) TimeoutNow(id raft.ServerID, _ raft.ServerAddress, a *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	_, err := ep.startCall(resolve(id), kindTimeoutNow, encodeRequest(nil, a)).wait(ep.t, callTimeout)
	return err
}

// InstallSnapshot implements raft.Transport: data holds the token of a snapshot,
// whose contents go by the bulk stream.
func (ep *Endpoint) InstallSnapshot(id raft.ServerID, _ raft.ServerAddress, a *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	token, err := readToken(data)
	if err != nil {
		return err
	}
	to := resolve(id)
	h := SnapshotHeader{
		Range: ep.rng, From: ep.self, To: to.id, Term: a.Term, Index: a.LastLogIndex, LastTerm: a.LastLogTerm,
		ConfigIndex: a.ConfigurationIndex, Configuration: a.Configuration,
	}
	term, err := ep.streamSnapshot(to.node, h, token)
	if err != nil {
		return err
	}
	*resp = raft.InstallSnapshotResponse{Term: term, Success: true}
	ep.setAck(id, a.Term, a.LastLogIndex)
	return nil
}
