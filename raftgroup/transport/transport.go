package transport

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
	"github.com/pamirdb/pamir/pkg/stop"
)

// Group is what the transport asks of a group. Calls must not block.
type Group interface {
	CurrentTerm() uint64
	// StaleTerm is called when a follower's heartbeat answer carries a newer
	// term: a deposed leader must find out.
	StaleTerm()
	// Leads reports whether this replica leads the group in that term.
	Leads(term uint64) bool
	// Durable returns the last entry that this node has written; followers must
	// not take later ones for committed.
	Durable() uint64
	// IsLeader reports whether it leads at all.
	IsLeader() bool
	// Leader returns the known leader's node, or 0.
	Leader() ids.NodeID
	// Voters returns the nodes of the voters, as far as known here.
	Voters() []ids.NodeID
	LastLog() (term, index uint64)
	// MayStand reports whether this replica should stand for election when
	// nobody leads.
	MayStand() bool
	// Campaign stands for election at once, politely: after asking whether the
	// others would vote, if polite.
	Campaign(polite bool)
	// TakingOver is called before Raft is told to take over from the leader: an
	// election under way must not keep it from it.
	TakingOver()
	// SendSnapshot writes the contents behind a token of Raft's InstallSnapshot.
	SendSnapshot(token uint64, w io.Writer) error
	// ReceiveSnapshot installs a snapshot and returns the current term.
	ReceiveSnapshot(ctx context.Context, h SnapshotHeader, r io.Reader) (term uint64, err error)
}

// Options configures a Transport.
type Options struct {
	Peers  rpc.Peers
	Logger *slog.Logger
	// WaitRoom waits until the state engine takes more; followers' appends wait
	// for it.
	WaitRoom func(ctx context.Context) error
	// Unknown is called when a message arrives for a range without a group here.
	// It must not block. May be nil.
	Unknown func(r ids.RangeID, to ids.ReplicaID, from ids.NodeID)
	// Tombstone returns the highest removed replica id of a range.
	Tombstone func(r ids.RangeID) ids.ReplicaID
}

// Transport is the node's end of all groups' messages.
type Transport struct {
	opts  Options
	peers rpc.Peers
	log   *slog.Logger
	stop  *stop.Group
	next  atomic.Uint64

	mu        sync.RWMutex
	endpoints map[ids.RangeID]*Endpoint
	early     map[ids.RangeID][]earlyVote

	callMu sync.Mutex
	calls  map[uint64]*call

	peerMu sync.Mutex
	state  map[ids.NodeID]*peer

	sending   chan struct{} // bounds outgoing snapshots
	receiving chan struct{} // and incoming ones
}

// peer is what is known of another node.
type peer struct {
	up        bool
	changed   chan struct{} // closed when up changes
	heard     time.Time     // last message from it
	met       time.Time     // first message from it since it was last lost
	asked     time.Time     // last ping to a peer that was not met
	beats     []byte        // collected heartbeat frames
	armed     bool          // a flush of beats is on its way
	suspected time.Time
}

// Timing of the transport.
const (
	heartbeatWindow = 30 * time.Millisecond
	callTimeout     = 2 * time.Second
	appendGiveUp    = 30 * time.Second
	earlyVoteHold   = time.Second
	snapshotStreams = 2
)

// New registers the transport's handlers; call it before the network starts.
func New(o Options) *Transport {
	t := &Transport{
		opts:      o,
		peers:     o.Peers,
		log:       o.Logger,
		stop:      stop.New(context.Background()),
		endpoints: map[ids.RangeID]*Endpoint{},
		early:     map[ids.RangeID][]earlyVote{},
		calls:     map[uint64]*call{},
		state:     map[ids.NodeID]*peer{},
		sending:   make(chan struct{}, snapshotStreams),
		receiving: make(chan struct{}, snapshotStreams),
	}
	o.Peers.HandleMessage(rpc.MethodRaft, t.handleRaft)
	o.Peers.HandleMessage(rpc.MethodHeartbeat, t.handleHeartbeats)
	o.Peers.HandleStream(rpc.MethodSnapshot, t.handleSnapshot)
	o.Peers.Handle(rpc.MethodPing, t.handlePing)
	o.Peers.OnPeerChange(t.peerChanged)
	t.stop.Go("raft transport monitor", t.monitor)
	return t
}

// Close ends all calls and waits for what the transport started. Endpoints are
// closed by their owners before.
func (t *Transport) Close() {
	t.failCalls(func(*call) bool { return true }, ErrClosed)
	t.stop.Stop()
}

func (t *Transport) endpoint(r ids.RangeID) *Endpoint {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.endpoints[r]
}

// peerLocked returns a peer's record; the caller holds peerMu.
func (t *Transport) peerLocked(n ids.NodeID) *peer {
	p := t.state[n]
	if p == nil {
		// Until something is known, a peer counts as up: the first message finds
		// out.
		p = &peer{up: true, changed: make(chan struct{}), heard: time.Now()}
		t.state[n] = p
	}
	return p
}

func (t *Transport) noteHeard(n ids.NodeID) {
	t.peerMu.Lock()
	p := t.peerLocked(n)
	p.heard = time.Now()
	if p.met.IsZero() {
		p.met = p.heard
	}
	if !p.up {
		p.setUp(true)
	}
	t.peerMu.Unlock()
}

func (p *peer) setUp(up bool) {
	p.up = up
	close(p.changed)
	p.changed = make(chan struct{})
}

// peerChanged is rpc's news of a connection.
func (t *Transport) peerChanged(n ids.NodeID, up bool) {
	t.peerMu.Lock()
	p := t.peerLocked(n)
	p.setUp(up)
	if !up {
		p.met = time.Time{}
	}
	t.peerMu.Unlock()
	if up {
		return
	}
	t.failCalls(func(c *call) bool { return c.node == n }, rpc.ErrUnreachable)
	t.stop.Go("raft failover", func(ctx context.Context) { t.failover(ctx, n) })
}

// handleRaft takes one frame.
func (t *Transport) handleRaft(from ids.NodeID, payload []byte) {
	t.noteHeard(from)
	f, err := decodeFrame(payload)
	if err != nil {
		t.log.Warn("dropping a malformed raft message", "from", from)
		return
	}
	if f.kind&(answerBit|kindError) != 0 {
		t.answered(&f)
		return
	}
	if err := t.receive(from, &f); err != nil {
		t.sendRefusal(from, &f, err)
	}
}

// receive hands a request to its group.
func (t *Transport) receive(from ids.NodeID, f *frame) error {
	ep := t.endpoint(f.rng)
	if ep == nil {
		return t.receiveUnknown(from, f)
	}
	if ep.self != f.to {
		return ErrStale
	}
	cmd, err := decodeRequest(f, from)
	if err != nil {
		return err
	}
	if f.kind == kindTimeoutNow {
		if ep.group.IsLeader() {
			return ErrStale // it would depose a working leader
		}
		ep.group.TakingOver()
	}
	return ep.enqueue(request{node: from, frame: *f, cmd: cmd})
}

func (t *Transport) receiveUnknown(from ids.NodeID, f *frame) error {
	if t.opts.Tombstone != nil && t.opts.Tombstone(f.rng) >= f.to {
		return ErrStale
	}
	if t.opts.Unknown != nil {
		t.opts.Unknown(f.rng, f.to, from)
	}
	if f.kind == kindVote || f.kind == kindPreVote {
		t.holdVote(from, f)
		return nil
	}
	return ErrNotReady
}

// earlyVote is a vote request for a group that is not open yet, such as the child
// of a split that has not been applied here.
type earlyVote struct {
	from  ids.NodeID
	frame frame
	until time.Time
}

func (t *Transport) holdVote(from ids.NodeID, f *frame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.early[f.rng]) < 8 {
		t.early[f.rng] = append(t.early[f.rng], earlyVote{from, *f, time.Now().Add(earlyVoteHold)})
	}
}

// expireVotes refuses the votes that were held long enough.
func (t *Transport) expireVotes(now time.Time) {
	var late []earlyVote
	t.mu.Lock()
	for r, vs := range t.early {
		kept := vs[:0]
		for _, v := range vs {
			if now.After(v.until) {
				late = append(late, v)
			} else {
				kept = append(kept, v)
			}
		}
		if t.early[r] = kept; len(kept) == 0 {
			delete(t.early, r)
		}
	}
	t.mu.Unlock()
	for _, v := range late {
		t.sendRefusal(v.from, &v.frame, ErrNotReady)
	}
}

func (t *Transport) sendRefusal(to ids.NodeID, f *frame, err error) {
	a := frame{kind: kindError, rng: f.rng, from: f.to, to: f.from, request: f.request, body: encodeRefusal(err)}
	_ = t.peers.Send(to, rpc.Normal, rpc.MethodRaft, appendFrame(nil, &a)) // the sender's timeout covers a loss
}

// bulkBytes is the size from which a frame goes by the bulk connection, so that
// it does not hold up heartbeats.
const bulkBytes = 256 << 10

func (t *Transport) send(to ids.NodeID, f *frame) error {
	b := appendFrame(make([]byte, 0, 32+len(f.body)), f)
	class := rpc.Normal
	if len(b) > bulkBytes {
		class = rpc.Bulk
	}
	return t.peers.Send(to, class, rpc.MethodRaft, b)
}

// queueBeat adds a heartbeat frame to what goes to a peer next.
func (t *Transport) queueBeat(to ids.NodeID, f *frame) {
	t.peerMu.Lock()
	p := t.peerLocked(to)
	p.beats = appendBeat(p.beats, f)
	arm := !p.armed
	p.armed = true
	t.peerMu.Unlock()
	if arm {
		t.stop.Go("raft heartbeats", func(ctx context.Context) { t.flushBeats(ctx, to) })
	}
}

func appendBeat(b []byte, f *frame) []byte {
	body := appendFrame(make([]byte, 0, 48), f)
	b = binary.AppendUvarint(b, uint64(len(body)))
	return append(b, body...)
}

func (t *Transport) flushBeats(ctx context.Context, to ids.NodeID) {
	timer := time.NewTimer(heartbeatWindow)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	t.peerMu.Lock()
	p := t.peerLocked(to)
	b := p.beats
	p.beats, p.armed = nil, false
	t.peerMu.Unlock()
	if err := t.peers.Send(to, rpc.Normal, rpc.MethodHeartbeat, b); err != nil {
		t.failCalls(func(c *call) bool { return c.beat && c.node == to }, err)
	}
}

// handleHeartbeats takes a batch of heartbeats, or of their answers.
func (t *Transport) handleHeartbeats(from ids.NodeID, payload []byte) {
	t.noteHeard(from)
	var answers []byte
	for c := (cursor{b: payload}); len(c.b) > 0; {
		b := c.bytes()
		f, err := decodeFrame(b)
		if c.bad || err != nil {
			t.log.Warn("dropping a malformed heartbeat batch", "from", from)
			break
		}
		if f.kind&(answerBit|kindError) != 0 {
			t.answered(&f)
			continue
		}
		if a, ok := t.beat(from, &f); ok {
			answers = appendBeat(answers, &a)
		}
	}
	if len(answers) > 0 {
		_ = t.peers.Send(from, rpc.Normal, rpc.MethodHeartbeat, answers) // the sender's timeout covers a loss
	}
}

// beat handles one heartbeat, and returns its answer unless the group's queue
// will give it.
func (t *Transport) beat(from ids.NodeID, f *frame) (answer frame, ok bool) {
	answer = frame{kind: kindError, rng: f.rng, from: f.to, to: f.from, request: f.request}
	ep := t.endpoint(f.rng)
	switch {
	case ep == nil:
		err := t.receiveUnknown(from, f)
		answer.body = encodeRefusal(err)
		return answer, true
	case ep.self != f.to:
		answer.body = encodeRefusal(ErrStale)
		return answer, true
	}
	cmd, err := decodeRequest(f, from)
	if err == nil {
		var resp any
		var done bool
		if resp, done, err = ep.beat(cmd, request{node: from, frame: *f, cmd: cmd}); !done && err == nil {
			return answer, false
		} else if err == nil {
			answer.body, answer.kind = encodeAnswer(nil, resp)
			return answer, true
		}
	}
	answer.body = encodeRefusal(err)
	return answer, true
}
