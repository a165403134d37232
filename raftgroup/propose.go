package raftgroup

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// Commands are packed into entries of about this size, so that one sync of the
// log serves many. A larger command travels alone.
const packBytes = 256 << 10

// Entries under way at a time. A lone voter gains nothing from a second one: Raft
// would sync it before it commits the first.
//
// Elsewhere a second one overlaps with the followers' syncs, which pays once it
// carries many commands; a small one had better wait and travel with more.
const (
	inflightAlone  = 1
	inflightOthers = 2
	secondCommands = 16
)

// command is one proposed command; a barrier is empty and no business of the
// state machine.
type command struct {
	data    []byte
	barrier bool
	done    func([]byte, error)
}

// packed is one entry of ours.
type packed struct {
	id   uint64
	cmds []command
	// term is known from the moment when Raft appends the entry; index with it.
	term, index uint64
	flying      bool // counts as in flight
}

// proposer packs commands into entries, one after another, and knows which have
// not come back yet.
type proposer struct {
	g    *group
	wake chan struct{}

	// mu guards all below. Taken after group.applyMu; nothing blocks under it.
	mu      sync.Mutex
	queue   []command
	open    []*packed // handed to Raft and not known to be done or lost
	flying  int
	nextID  uint64
	rejects []command // refused before they were packed
	crowded bool      // somebody waits for room in the engine
	held    bool      // released at the end of a write of the log
	draining,
	closed bool
}

func (p *proposer) init(g *group) {
	p.g, p.wake = g, make(chan struct{}, 1)
}

// add queues a command and sends off what may go.
func (p *proposer) add(c command) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		// The group is gone and with it its apply goroutine.
		c.finish(nil, ErrClosed)
		return
	}
	if p.draining || !p.g.IsLeader() {
		p.rejects = append(p.rejects, c)
		p.mu.Unlock()
		p.poke()
		return
	}
	p.queue = append(p.queue, c)
	p.dispatch()
	p.mu.Unlock()
}

func (c *command) finish(result []byte, err error) {
	if c.done != nil {
		c.done(result, err)
	}
}

func (p *proposer) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *proposer) limit() int {
	if p.g.voters.Load() > 1 {
		return inflightOthers
	}
	return inflightAlone
}

// dispatch hands entries to Raft, now or at a better moment; the caller holds mu.
// Raft's channel has room for more than the limit, so this never blocks.
func (p *proposer) dispatch() {
	if !p.hold(p.limit()) {
		p.send()
	}
}

// send hands entries to Raft as far as the limit allows; the caller holds mu.
func (p *proposer) send() {
	limit := p.limit()
	for len(p.queue) > 0 && p.flying < limit && !p.crowded {
		if p.flying > 0 && len(p.queue) < secondCommands {
			return
		}
		if p.g.h.engine.WaitRoom(expired) != nil {
			p.crowded = true
			p.g.stop.Go("raft proposals wait for room", p.waitRoom)
			return
		}
		e := p.pack()
		p.open = append(p.open, e)
		p.flying++
		in := p.g.inst.Load()
		f := in.raft.ApplyLog(raft.Log{Data: encodePacked(p.g.life, e)}, 0)
		endWith(f, in.dead)
		go func() { // ends with the instance at the latest
			if err := f.Error(); err != nil {
				p.failed(e, err)
			}
		}()
	}
}

// hold keeps commands back while the log is being written: those that come until
// that is done can travel in the same entry, and no sooner would they be written.
// The caller holds mu.
func (p *proposer) hold(limit int) bool {
	switch {
	case p.held:
		return true
	case len(p.queue) == 0 || p.flying >= limit && limit > inflightAlone:
		return false
	}
	// A lone voter's entry under way is part of that write as a rule, so that the
	// next one can follow when it ends.
	p.held = p.g.h.logs.Later(p.release)
	return p.held
}

// release sends off what was held back, and reports whether anything may go.
func (p *proposer) release() (sent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
	flying := p.flying
	p.send()
	return p.flying > flying
}

// endWith makes waiting for f end when dead is closed. Raft forgets a few of these
// futures when it shuts down; its other futures have a ShutdownCh for that, and
// so do these, but ApplyLog leaves it empty.
func endWith(f raft.ApplyFuture, dead chan struct{}) bool {
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return false // an error that is known already
	}
	at := shutdownField.Load()
	if at == nil || at.of != v.Type() {
		field, _ := v.Elem().Type().FieldByName("ShutdownCh")
		at = &futureField{v.Type(), field.Index}
		shutdownField.Store(at)
	}
	if at.index == nil {
		return false
	}
	ch := v.Elem().FieldByIndex(at.index)
	if !ch.CanSet() || ch.Type() != reflect.TypeOf(dead) {
		return false
	}
	ch.Set(reflect.ValueOf(dead))
	return true
}

// futureField is where futures of a type have their ShutdownCh: looking it up by
// name takes as long as encoding an entry.
type futureField struct {
	of    reflect.Type
	index []int
}

var shutdownField atomic.Pointer[futureField]

var expired = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func (p *proposer) waitRoom(ctx context.Context) {
	err := p.g.h.engine.WaitRoom(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.crowded = false
	if err == nil {
		p.dispatch()
	}
}

// pack takes commands from the queue.
func (p *proposer) pack() *packed {
	n, size := 0, 0
	for n < len(p.queue) && (n == 0 || size+len(p.queue[n].data) <= packBytes) {
		size += len(p.queue[n].data)
		n++
	}
	p.nextID++
	e := &packed{id: p.nextID, cmds: p.queue[:n:n], flying: true}
	if p.queue = p.queue[n:]; len(p.queue) == 0 {
		p.queue = nil
	}
	return e
}

// An entry of ours: version, the group's life and the entry's number, then each
// command with its length.
const (
	packedVersion = 1
	packedHeader  = 1 + 8
)

func encodePacked(life uint64, e *packed) []byte {
	size := packedHeader + 2*binary.MaxVarintLen64
	for i := range e.cmds {
		size += len(e.cmds[i].data) + binary.MaxVarintLen32
	}
	b := append(make([]byte, 0, size), packedVersion)
	b = binary.BigEndian.AppendUint64(b, life)
	b = binary.AppendUvarint(b, e.id)
	b = binary.AppendUvarint(b, uint64(len(e.cmds)))
	for i := range e.cmds {
		c := &e.cmds[i]
		head := uint64(len(c.data)) << 1
		if c.barrier {
			head |= 1
		}
		b = binary.AppendUvarint(b, head)
		b = append(b, c.data...)
	}
	return b
}

// packedID reads whose entry it is.
func packedID(b []byte) (life, id uint64, rest []byte, ok bool) {
	if len(b) < packedHeader || b[0] != packedVersion {
		return 0, 0, nil, false
	}
	life = binary.BigEndian.Uint64(b[1:])
	id, rest, err := takeUvarint(b[packedHeader:])
	return life, id, rest, err == nil
}

// decodePacked calls f for each command.
func decodePacked(b []byte, f func(data []byte, barrier bool)) error {
	n, b, err := takeUvarint(b)
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		var head uint64
		if head, b, err = takeUvarint(b); err != nil {
			return err
		}
		size := head >> 1
		if size > uint64(len(b)) {
			return ErrCorrupt
		}
		f(b[:size:size], head&1 != 0)
		b = b[size:]
	}
	return nil
}

// appending learns the terms of our entries, just before Raft writes them.
func (p *proposer) appending(logs []*raft.Log) {
	for _, l := range logs {
		if l.Type != raft.LogCommand {
			continue
		}
		life, id, _, ok := packedID(l.Data)
		if !ok || life != p.g.life {
			continue
		}
		p.mu.Lock()
		for _, e := range p.open {
			if e.id == id {
				e.term, e.index = l.Term, l.Index
			}
		}
		p.mu.Unlock()
	}
}

// land marks an entry as no longer in flight; the caller holds mu.
func (p *proposer) land(e *packed) {
	if e.flying {
		e.flying = false
		p.flying--
	}
}

// forget removes an entry that is done or lost; the caller holds mu.
func (p *proposer) forget(e *packed) bool {
	p.land(e)
	for i, o := range p.open {
		if o == e {
			p.open = append(p.open[:i:i], p.open[i+1:]...)
			return true
		}
	}
	return false
}

// applied takes the entry with that number out, and sends off the next.
func (p *proposer) applied(id uint64) *packed {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.open {
		if e.id == id {
			p.forget(e)
			return e
		}
	}
	return nil
}

// settle sends off what waits, and returns the entries that can never apply,
// now that an entry of that term has: terms never fall along the log.
func (p *proposer) settle(term uint64) (dropped []*packed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.open {
		if e.term != 0 && e.term < term {
			dropped = append(dropped, e)
		}
	}
	for _, e := range dropped {
		p.forget(e)
	}
	p.dispatch()
	return dropped
}

// covered takes out the entries that a snapshot up to index has passed over.
func (p *proposer) covered(index uint64) (out []*packed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.open {
		if e.term != 0 && e.index <= index {
			out = append(out, e)
		}
	}
	for _, e := range out {
		p.forget(e)
	}
	return out
}

// watch answers commands that were refused at once, off the proposer's stack.
func (p *proposer) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
			p.mu.Lock()
			rejects := p.rejects
			p.rejects = nil
			p.mu.Unlock()
			p.finish(rejects, ErrNotLeader)
		}
	}
}

func definite(err error) bool {
	return errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress) ||
		errors.Is(err, raft.ErrEnqueueTimeout)
}

// failed hears that Raft did not commit an entry. Only a definite refusal ends its
// commands here; all else waits for the log to tell.
func (p *proposer) failed(e *packed, err error) {
	p.mu.Lock()
	p.land(e)
	lost := definite(err) && p.forget(e)
	var queued []command
	if lost && !p.g.IsLeader() {
		queued, p.queue = p.queue, nil
	}
	p.dispatch()
	p.mu.Unlock()
	if lost {
		p.finish(append(e.cmds, queued...), ErrNotLeader)
	}
}

// finish answers commands while nothing is applied.
func (p *proposer) finish(cmds []command, err error) {
	if len(cmds) == 0 {
		return
	}
	p.g.applyMu.Lock()
	defer p.g.applyMu.Unlock()
	for i := range cmds {
		cmds[i].finish(nil, err)
	}
}

// drain refuses new commands and waits for those under way.
func (p *proposer) drain(d time.Duration) {
	p.mu.Lock()
	p.draining = true
	p.mu.Unlock()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
		p.mu.Lock()
		idle := p.flying == 0 && len(p.queue) == 0
		p.mu.Unlock()
		if idle {
			return
		}
	}
}

// orphaned is called when Raft has shut down: what it never appended never will
// be, and the rest waits for what the next instance applies. It returns the
// former.
func (p *proposer) orphaned() (cmds []command) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range append([]*packed(nil), p.open...) {
		p.land(e)
		if e.term == 0 && p.forget(e) {
			cmds = append(cmds, e.cmds...)
		}
	}
	cmds = append(append(cmds, p.queue...), p.rejects...)
	p.queue, p.rejects = nil, nil
	return cmds
}

// close ends everything once Raft has shut down.
func (p *proposer) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.finish(p.orphaned(), ErrNotLeader)
	p.mu.Lock()
	open := p.open
	p.open = nil
	p.mu.Unlock()
	for _, e := range open {
		p.finish(e.cmds, ErrClosed)
	}
}
