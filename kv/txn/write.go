package txn

import (
	"context"
	"fmt"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
)

// write buffers the writes b.Requests[i:j] after checking what they require, or
// lays them at once if they are too many to wait for the commit.
func (t *Txn) write(ctx context.Context, b *kv.Batch, i, j int) error {
	if t.isBulk(b, i, j) {
		if done, err := t.writeBulk(ctx, b, i, j); done || err != nil {
			return err
		}
	}
	// A batch that commits takes its conditions with it. With intents laid the
	// expected absence is about them too, and is checked here.
	late := b.Commit && t.flushed() == 0
	if !late {
		if err := t.lockAbsent(ctx, b, i, j); err != nil {
			return err
		}
	}
	for n := i; n < j; n++ {
		if err := t.bufferWrite(&b.Requests[n], n, late); err != nil {
			return err
		}
	}
	t.noteBuffer()
	l := &t.db.cfg.Limits
	if !b.Commit && (t.buf.size >= l.FlushBytes || t.buf.versions >= l.FlushWrites) {
		return t.flush(ctx)
	}
	return nil
}

// bufferWrite adds one write to the buffer.
func (t *Txn) bufferWrite(req *api.Request, index int, late bool) error {
	p := t.buf.get(req.Key)
	if p != nil && req.Expect.Kind == api.ExpectAbsent {
		if last := p.last(); !last.deleted {
			return &api.ConditionFailedError{Index: index, Key: req.Key, Existing: last.value}
		}
	}
	v := version{seq: api.Seq(t.seq.Add(1)), deleted: req.Kind == api.Delete}
	if !v.deleted {
		v.value = t.keep.copy(req.Value)
	}
	key := req.Key
	if p != nil {
		key = p.key
	} else {
		key = t.keep.copy(key)
	}
	p, fresh := t.buf.put(key, v)
	if fresh {
		p.basis = t.base(req, late)
		if late && p.expect.Kind == api.ExpectAbsent {
			p.index = int32(index)
		}
	}
	return nil
}

// base returns what a key's first write is based on: the version, if that is
// known, and the lock that was taken on it (KV.md, 17).
func (t *Txn) base(req *api.Request, late bool) basis {
	h := t.locks.find(req.Key)
	switch {
	case req.Expect.Kind == api.ExpectVersion:
	case h != nil:
		return basis{api.Expect{Kind: api.ExpectVersion, Version: h.version}, h.strength, h.seq}
	case req.Expect.Kind == api.ExpectAbsent && !late:
		// Checked against an intent of ours, which keeps others out.
		return basis{}
	}
	return basis{expect: req.Expect}
}

// lockAbsent locks the keys of the writes that expect absence and fails with the
// first one that exists: the statement must learn of it now.
func (t *Txn) lockAbsent(ctx context.Context, b *kv.Batch, i, j int) error {
	var reqs []api.Request
	var place []int
	for n := i; n < j; n++ {
		req := &b.Requests[n]
		if req.Expect.Kind != api.ExpectAbsent || t.buf.get(req.Key) != nil || t.knownAbsent(req.Key) {
			continue
		}
		reqs = append(reqs, api.Request{Kind: api.Get, Key: req.Key, Lock: api.LockExclusive})
		place = append(place, n)
	}
	if len(reqs) == 0 {
		return nil
	}
	br, err := t.sendReads(ctx, reqs, 0, nil)
	if err != nil {
		return err
	}
	addStats(&b.Stats, &br.Stats)
	for k, n := range place {
		if r := &br.Responses[k]; r.Exists {
			return &api.ConditionFailedError{Index: n, Key: b.Requests[n].Key, Existing: r.Value, VersionTS: r.VersionTS}
		}
	}
	return nil
}

// knownAbsent reports whether a lock of ours proves that key has no row. With
// intents laid, the key may have a row of our own.
func (t *Txn) knownAbsent(key api.Key) bool {
	if t.flushed() != 0 {
		return false
	}
	h := t.locks.find(key)
	return h != nil && h.strength == api.LockExclusive && !h.exists
}

// flush lays the buffered writes down as intents and empties the buffer.
func (t *Txn) flush(ctx context.Context) error {
	if t.buf.len() == 0 {
		return nil
	}
	t.db.stats.flushes.Add(1)
	list := t.buf.all()
	t.mu.Lock()
	t.ensureAnchor(list[0].key)
	t.mu.Unlock()
	for len(list) > 0 {
		n := t.chunk(list)
		if err := t.layIntents(ctx, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	t.buf = buffer{}
	t.noteBuffer()
	return nil
}

// chunk returns how many entries fit in one batch of writes.
func (t *Txn) chunk(list []*pending) int {
	size := 0
	for i, p := range list {
		size += len(p.key)
		for _, v := range p.versions {
			size += len(v.value) + versionOverhead
		}
		if size > t.db.cfg.Limits.BatchBytes && i > 0 {
			return i
		}
	}
	return len(list)
}

// layIntents sends writes as intents. The versions of one key go one after the
// other, so that a savepoint may still bring an older one back.
func (t *Txn) layIntents(ctx context.Context, list []*pending) error {
	t.noteIntents(list)
	for layer := 0; len(list) > 0; layer++ {
		reqs := make([]api.Request, 0, len(list))
		owners := make([]*pending, 0, len(list))
		for _, p := range list {
			if layer < len(p.versions) {
				reqs = append(reqs, writeRequest(p, p.versions[layer]))
				owners = append(owners, p)
			}
		}
		if len(reqs) == 0 {
			return nil
		}
		if err := t.layBatch(ctx, reqs, func(i int) int32 { return owners[i].index }); err != nil {
			return err
		}
		list = owners
	}
	return nil
}

// layBatch sends intents until they are laid. index tells a request's place in
// the caller's batch, or -1.
func (t *Txn) layBatch(ctx context.Context, reqs []api.Request, index func(i int) int32) error {
	for {
		at := t.meta.Load().ReadTS
		err := t.sendWrites(ctx, reqs)
		if err == nil {
			return nil
		}
		err = conditionOf(err, reqs, index)
		if err := t.absorb(ctx, err, at); err != nil {
			return err
		}
	}
}

// noteIntents remembers where intents will be, before they are laid.
func (t *Txn) noteIntents(list []*pending) {
	for _, p := range list {
		t.intents.add(p.key, nil)
		t.mu.Lock()
		if h := t.locks.find(p.key); h != nil {
			h.laid = true
		}
		t.mu.Unlock()
		t.flushedSeq.Store(int32(max(t.flushed(), p.last().seq)))
	}
	t.holds.Store(true)
}

// sendWrites sends a batch of intents and takes over its timestamp.
func (t *Txn) sendWrites(ctx context.Context, reqs []api.Request) error {
	br, err := t.db.cfg.Ranges.Send(ctx, t.writesBatch(reqs))
	return t.noteLaid(br, err)
}

func (t *Txn) writesBatch(reqs []api.Request) *api.BatchRequest {
	ba := t.newBatch()
	ba.NoIntents = false // a retry meets the intents of the first try
	ba.Requests = reqs
	ba.ReadSeq = t.readSeq(0)
	return ba
}

// noteLaid takes over what a batch of intents was answered.
func (t *Txn) noteLaid(br *api.BatchResponse, err error) error {
	if err != nil {
		t.doubtful = true
		return err
	}
	t.mu.Lock()
	t.noteAnswer(br)
	t.mu.Unlock()
	if m := t.meta.Load(); m.WriteTS.Less(br.WriteTS) {
		m = t.edit()
		m.WriteTS = br.WriteTS
		t.meta.Store(m)
	}
	return nil
}

// writeRequest returns the request that lays one version of a key.
func writeRequest(p *pending, v version) api.Request {
	r := api.Request{Kind: api.Put, Key: p.key, Value: v.value, Seq: v.seq, Expect: p.expect, Lock: p.lock, LockSeq: p.lockSeq}
	if v.deleted {
		r.Kind = api.Delete
	}
	return r
}

// conditionOf translates a violated condition of a write that the coordinator
// composed into what the caller knows: the place in its own batch, or, if the
// condition was ours, the news that a read is stale.
func conditionOf(err error, reqs []api.Request, index func(i int) int32) error {
	failed := asCondition(err)
	if failed == nil {
		return err
	}
	if failed.Index < 0 || failed.Index >= len(reqs) {
		return fmt.Errorf("txn: condition of an unknown request failed: %w", err)
	}
	if n := index(failed.Index); n >= 0 {
		moved := *failed
		moved.Index = int(n)
		return &moved
	}
	return &api.RetryError{Reason: api.ReasonStaleBase, Timestamp: failed.VersionTS}
}
