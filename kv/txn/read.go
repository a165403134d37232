package txn

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
)

// Send implements kv.Txn.
func (t *Txn) Send(ctx context.Context, b *kv.Batch) error {
	if err := t.usable(); err != nil {
		return err
	}
	start := api.Seq(t.seq.Load())
	writes := 0
	for i := range b.Requests {
		if isWrite(b.Requests[i].Kind) {
			writes++
		}
	}
	switch {
	case writes == 0:
		if err := t.read(ctx, b, 0, len(b.Requests)); err != nil {
			return err
		}
	case t.opts.ReadOnly || !t.opts.AsOf.IsZero():
		return errors.New("txn: write in a read-only transaction")
	default:
		if err := t.sendMixed(ctx, b); err != nil {
			return err
		}
	}
	if !b.Commit {
		return nil
	}
	err := t.commit(ctx, b)
	if err != nil && t.status() == open {
		// A condition failed before anything was laid.
		if undo := t.RollbackTo(ctx, kv.Savepoint{Seq: start}); undo != nil {
			return undo
		}
	}
	return err
}

func isWrite(k api.Kind) bool { return k == api.Put || k == api.Delete }

// sendMixed handles runs of reads and runs of writes in turn.
func (t *Txn) sendMixed(ctx context.Context, b *kv.Batch) error {
	start := api.Seq(t.seq.Load())
	for i := 0; i < len(b.Requests); {
		j := i + 1
		write := isWrite(b.Requests[i].Kind)
		for j < len(b.Requests) && isWrite(b.Requests[j].Kind) == write {
			j++
		}
		var err error
		if write {
			err = t.write(ctx, b, i, j)
		} else {
			err = t.read(ctx, b, i, j)
		}
		if err != nil {
			if t.status() == open {
				// A batch writes all or nothing.
				if undo := t.RollbackTo(ctx, kv.Savepoint{Seq: start}); undo != nil {
					return undo
				}
			}
			return err
		}
		i = j
	}
	return nil
}

// responses returns room for the answers of the whole batch.
func responses(b *kv.Batch) []api.Response {
	if len(b.Responses) != len(b.Requests) {
		b.Responses = slices.Grow(b.Responses[:0], len(b.Requests))[:len(b.Requests)]
		clear(b.Responses)
	}
	return b.Responses
}

// read executes the reads b.Requests[i:j].
func (t *Txn) read(ctx context.Context, b *kv.Batch, i, j int) error {
	reqs := b.Requests[i:j]
	if t.bufferEmpty() {
		br, err := t.sendReads(ctx, reqs, b.ReadSeq, nil)
		if err != nil {
			return err
		}
		addStats(&b.Stats, &br.Stats)
		if len(reqs) == len(b.Requests) {
			b.Responses = br.Responses
		} else {
			copy(responses(b)[i:j], br.Responses)
		}
		return nil
	}
	return t.readOverBuffer(ctx, b, i, j)
}

func (t *Txn) bufferEmpty() bool {
	t.bufMu.RLock()
	defer t.bufMu.RUnlock()
	return t.buf.len() == 0
}

// readOverBuffer executes reads while there are buffered writes: what the buffer
// answers is not sent, and the rest carries the writes that it must see.
func (t *Txn) readOverBuffer(ctx context.Context, b *kv.Batch, i, j int) error {
	out := responses(b)
	carried, err := t.carryOrFlush(ctx, b.Requests[i:j], b.ReadSeq)
	if err != nil {
		return err
	}
	send := make([]api.Request, 0, j-i)
	place := make([]int, 0, j-i)
	for n := i; n < j; n++ {
		req := &b.Requests[n]
		if r, ok := t.fromBuffer(req, b.ReadSeq); ok {
			out[n] = r
			continue
		}
		send = append(send, *req)
		place = append(place, n)
	}
	if len(send) == 0 {
		return nil
	}
	br, err := t.sendReads(ctx, send, b.ReadSeq, carried)
	if err != nil {
		return err
	}
	addStats(&b.Stats, &br.Stats)
	for k, n := range place {
		out[n] = br.Responses[k]
		if req := &b.Requests[n]; req.Kind == api.Get && !out[n].Skipped {
			t.overlay(req, b.ReadSeq, &out[n])
		}
	}
	return nil
}

// carryOrFlush returns the writes that must travel with reqs, or lays the buffer
// down when they are too many.
func (t *Txn) carryOrFlush(ctx context.Context, reqs []api.Request, seq api.Seq) ([]api.CarriedWrite, error) {
	t.bufMu.RLock()
	carried, size := t.carried(reqs, seq)
	t.bufMu.RUnlock()
	if size <= t.db.cfg.Limits.CarryBytes {
		return carried, nil
	}
	t.bufMu.Lock()
	defer t.bufMu.Unlock()
	return nil, t.flush(ctx)
}

// fromBuffer answers a Get of a key with a buffered write that the statement
// sees, if no lock is left to take.
func (t *Txn) fromBuffer(req *api.Request, seq api.Seq) (r api.Response, ok bool) {
	if req.Kind != api.Get {
		return r, false
	}
	t.bufMu.RLock()
	defer t.bufMu.RUnlock()
	p := t.buf.get(req.Key)
	if p == nil {
		return r, false
	}
	v, ok := p.visible(seq)
	if !ok {
		return r, false
	}
	if req.Lock != api.LockNone {
		h, ok := t.heldLock(req.Key)
		if !ok || h.strength < req.Lock {
			return r, false
		}
		r.VersionTS = h.version
	}
	r.Value, r.Exists = v.value, !v.deleted
	return r, true
}

// heldLock returns what is known of a lock of ours.
func (t *Txn) heldLock(key api.Key) (held, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.locks.find(key); h != nil {
		return *h, true
	}
	return held{}, false
}

// overlay puts the buffered value over what the server answered for a lock.
func (t *Txn) overlay(req *api.Request, seq api.Seq, r *api.Response) {
	t.bufMu.RLock()
	defer t.bufMu.RUnlock()
	if p := t.buf.get(req.Key); p != nil {
		if v, ok := p.visible(seq); ok {
			r.Value, r.Exists = v.value, !v.deleted
		}
	}
}

// carried returns the buffered writes inside the scans of reqs, in key order.
func (t *Txn) carried(reqs []api.Request, seq api.Seq) (list []api.CarriedWrite, size int) {
	scans := 0
	for i := range reqs {
		req := &reqs[i]
		if req.Kind != api.Scan {
			continue
		}
		scans++
		t.buf.ascend(req.Key, req.End, func(p *pending) bool {
			if v, ok := p.visible(seq); ok {
				list = append(list, api.CarriedWrite{Key: p.key, Value: v.value, Deleted: v.deleted})
				size += len(p.key) + len(v.value)
			}
			return size <= t.db.cfg.Limits.CarryBytes
		})
	}
	if scans > 1 && len(list) > 1 {
		slices.SortFunc(list, func(a, b api.CarriedWrite) int { return bytes.Compare(a.Key, b.Key) })
		list = slices.CompactFunc(list, func(a, b api.CarriedWrite) bool { return bytes.Equal(a.Key, b.Key) })
	}
	return list, size
}

// sendReads sends reads until they succeed at one snapshot, refreshing whenever
// they must be read later.
func (t *Txn) sendReads(ctx context.Context, reqs []api.Request, seq api.Seq, carried []api.CarriedWrite) (*api.BatchResponse, error) {
	locking := t.prepareLocks(reqs)
	for {
		if err := t.freshen(ctx, reqs); err != nil {
			return nil, err
		}
		br, at, err := t.sendOnce(ctx, reqs, seq, carried, locking)
		if err == nil {
			return br, nil
		}
		if err := t.absorb(ctx, err, at); err != nil {
			return nil, err
		}
	}
}

// prepareLocks notes where reqs may take locks, before they do, and gives the
// transaction an anchor.
func (t *Txn) prepareLocks(reqs []api.Request) (locking bool) {
	for i := range reqs {
		req := &reqs[i]
		if req.Lock == api.LockNone {
			continue
		}
		locking = true
		t.mu.Lock()
		t.ensureAnchor(req.Key)
		if !t.lockSpans.has(req.Key, req.End) {
			t.lockSpans.add(t.keep.copy(req.Key), t.keep.copy(req.End))
		}
		t.mu.Unlock()
	}
	return locking
}

// ensureAnchor chooses the key that the record will be at. Holders of t.mu only.
func (t *Txn) ensureAnchor(k api.Key) {
	if m := t.meta.Load(); m.Anchor == nil {
		if m != &t.firstMeta || t.firstBatchUsed.Load() {
			m = t.edit()
		} // else nobody has seen it: heartbeats look only once holds is set
		m.Anchor = t.keep.copy(k)
		t.meta.Store(m)
	}
	t.holds.Store(true)
}

// sendOnce sends reads at the present snapshot and records what they touched. It
// returns the timestamp that it read at.
func (t *Txn) sendOnce(ctx context.Context, reqs []api.Request, seq api.Seq, carried []api.CarriedWrite, locking bool) (*api.BatchResponse, hlc.Timestamp, error) {
	// A server may move the timestamp by itself if nothing else was read. A plain
	// scan rarely needs that, and must not keep its sisters waiting.
	mayMove := (locking || reqs[0].Kind == api.Get) && t.opts.AsOf.IsZero() && t.nothingRead()
	if mayMove {
		t.snap.Lock()
		defer t.snap.Unlock()
	} else {
		t.snap.RLock()
		defer t.snap.RUnlock()
	}
	m := t.meta.Load()
	ba := t.newBatch()
	ba.Requests = reqs
	ba.ReadSeq = t.readSeq(seq)
	ba.Carried = carried
	ba.CanRefresh = mayMove && t.nothingRead()
	br, err := t.db.cfg.Ranges.Send(ctx, ba)
	if err != nil {
		return nil, m.ReadTS, err
	}
	t.noteReads(reqs, br, mayMove, locking)
	return br, m.ReadTS, nil
}

func (t *Txn) nothingRead() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reads.empty()
}

// readSeq makes «all» explicit.
func (t *Txn) readSeq(seq api.Seq) api.Seq {
	if seq == 0 {
		return api.Seq(t.seq.Load())
	}
	return seq
}

// newBatch returns a request with the transaction's header.
func (t *Txn) newBatch() *api.BatchRequest {
	ba := &t.firstBatch
	if t.firstBatchUsed.Swap(true) {
		ba = &api.BatchRequest{}
	}
	t.fillHeader(ba)
	return ba
}

func (t *Txn) fillHeader(ba *api.BatchRequest) {
	m := t.meta.Load()
	ba.Txn, ba.ReadTS = m, m.ReadTS
	ba.Gateway = m.Gateway
	ba.LockTimeoutNanos = t.opts.LockTimeoutNanos
	ba.LockSeq = api.Seq(t.lockSeq.Load()) + 1
	ba.Ignored = t.ignored
	ba.NoIntents = t.flushed() == 0
	t.mu.Lock()
	ba.ObservedAt = t.observed
	t.mu.Unlock()
}

// noteReads records what a successful batch read, locked and learned. With moved
// the server may have read later than asked, and the snapshot follows.
func (t *Txn) noteReads(reqs []api.Request, br *api.BatchResponse, mayMove, locking bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.meta.Load(); mayMove && m.ReadTS.Less(br.ReadTS) {
		m = t.edit()
		m.ReadTS = br.ReadTS
		m.WriteTS = m.WriteTS.Forward(m.ReadTS)
		t.meta.Store(m)
	}
	t.noteAnswer(br)
	if !t.opts.AsOf.IsZero() {
		return
	}
	var seq api.Seq
	if locking {
		seq = api.Seq(t.lockSeq.Add(1))
	}
	for i := range reqs {
		req, r := &reqs[i], &br.Responses[i]
		if req.Kind == api.Get {
			t.noteGet(req, r, seq)
			continue
		}
		for j := range r.Locked {
			t.locks.add(&t.keep, held{key: r.Locked[j].Key, version: r.Locked[j].VersionTS, strength: req.Lock, seq: seq, exists: true})
		}
		if req.Wait != api.WaitSkip {
			start, end := req.Key, req.End
			switch {
			case r.Resume != nil && req.Reverse:
				start = r.Resume
			case r.Resume != nil:
				end = r.Resume
			}
			t.noteSpan(start, end)
		}
	}
}

func (t *Txn) noteGet(req *api.Request, r *api.Response, seq api.Seq) {
	switch {
	case r.Skipped:
	case req.Lock != api.LockNone:
		t.locks.add(&t.keep, held{key: req.Key, version: r.VersionTS, strength: req.Lock, seq: seq, exists: r.Exists})
	default:
		t.noteSpan(req.Key, nil)
	}
}

func (t *Txn) noteSpan(start, end api.Key) {
	if !t.reads.has(start, end) {
		t.reads.add(t.readKeep.copy(start), t.readKeep.copy(end))
	}
}

// noteAnswer takes over what any answer says of clocks and work. Holders of t.mu
// only.
func (t *Txn) noteAnswer(br *api.BatchResponse) {
	i, s := &t.info, &br.Stats
	i.Ranges += int(s.Ranges)
	i.RPCs += int(s.RPCs)
	i.Proposals += int(s.Proposals)
	i.RowsScanned += s.RowsScanned
	for _, o := range br.ObservedAt {
		t.observe(o)
	}
	if len(br.ObservedAt) == 0 && !br.Observed.IsZero() {
		t.observe(api.ObservedTimestamp{Node: br.Node, TS: br.Observed})
	}
}

// observe remembers another node's clock at first contact.
func (t *Txn) observe(o api.ObservedTimestamp) {
	if o.Node == t.meta.Load().Gateway {
		return
	}
	for i := range t.observed {
		if t.observed[i].Node == o.Node {
			return
		}
	}
	// A copy: sent headers refer to the old list.
	t.observed = append(slices.Clip(t.observed), o)
}

func addStats(to, s *api.BatchStats) {
	to.RowsScanned += s.RowsScanned
	to.BytesScanned += s.BytesScanned
	to.Proposals += s.Proposals
	to.LockWaitNanos += s.LockWaitNanos
	to.Ranges += s.Ranges
	to.RPCs += s.RPCs
}
