package txn

import (
	"bytes"
	"context"
	"slices"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"golang.org/x/sync/errgroup"
)

// bulkChunks is how many batches of a bulk write are under way at a time: each is
// a proposal, and those that wait for the log together are written together.
const bulkChunks = 4

// isBulk reports whether the writes b.Requests[i:j] go past the buffer: many at a
// time, in a transaction that cannot commit in one batch any more.
func (t *Txn) isBulk(b *kv.Batch, i, j int) bool {
	l := &t.db.cfg.Limits
	if j-i < l.BulkWrites {
		return false
	}
	if t.flushed() != 0 || t.buf.versions+j-i > l.FlushWrites {
		return true
	}
	size := t.buf.size
	for n := i; n < j && size <= l.BatchBytes; n++ {
		r := &b.Requests[n]
		size += len(r.Key) + len(r.Value) + versionOverhead
	}
	return size > l.BatchBytes
}

// bulkChunk is one batch of a bulk write.
type bulkChunk struct {
	reqs  []api.Request
	index []int32 // in the caller's batch
	ba    *api.BatchRequest
	br    *api.BatchResponse
	err   error
}

// writeBulk lays the writes b.Requests[i:j] as intents, some batches at a time.
// Their conditions travel with them, so that no key is visited twice. It does
// nothing and returns false if a key is written twice: one batch of intents keeps
// the last write of a key alone, but a batch that is sent again checks them all.
func (t *Txn) writeBulk(ctx context.Context, b *kv.Batch, i, j int) (bool, error) {
	order := make([]int32, j-i)
	sorted := true
	for n := range order {
		order[n] = int32(i + n)
		sorted = sorted && (n == 0 || bytes.Compare(b.Requests[i+n-1].Key, b.Requests[i+n].Key) < 0)
	}
	if !sorted {
		slices.SortFunc(order, func(x, y int32) int { return bytes.Compare(b.Requests[x].Key, b.Requests[y].Key) })
		for n := 1; n < len(order); n++ {
			if bytes.Equal(b.Requests[order[n-1]].Key, b.Requests[order[n]].Key) {
				return false, nil
			}
		}
	}
	if err := t.flush(ctx); err != nil {
		return true, err
	}
	t.db.stats.flushes.Add(1)
	chunks := t.bulkChunks(b, i, order)
	t.mu.Lock()
	t.ensureAnchor(chunks[0].reqs[0].Key)
	t.mu.Unlock()
	t.noteBulk(chunks)
	at := t.meta.Load().ReadTS
	for k := range chunks {
		chunks[k].ba = t.writesBatch(chunks[k].reqs)
	}
	var g errgroup.Group
	g.SetLimit(bulkChunks)
	for k := range chunks {
		c := &chunks[k]
		g.Go(func() error {
			c.br, c.err = t.db.cfg.Ranges.Send(ctx, c.ba)
			return nil
		})
	}
	_ = g.Wait() // the errors are in the chunks
	var failed *api.ConditionFailedError
	for k := range chunks {
		c := &chunks[k]
		index := func(i int) int32 { return c.index[i] }
		err := t.noteLaid(c.br, c.err)
		if err != nil {
			if err = t.absorb(ctx, conditionOf(err, c.reqs, index), at); err == nil {
				err = t.layBatch(ctx, c.reqs, index)
			}
		}
		if cond := asCondition(err); cond != nil {
			// The first one in the caller's order is the answer.
			if failed == nil || cond.Index < failed.Index {
				failed = cond
			}
		} else if err != nil {
			return true, err
		}
	}
	if failed != nil {
		return true, failed
	}
	return true, nil
}

// bulkChunks makes the batches of a bulk write, in key order. What they refer to
// is copied, for a server may keep it longer than the caller.
func (t *Txn) bulkChunks(b *kv.Batch, i int, order []int32) []bulkChunk {
	total := 0
	for _, at := range order {
		total += len(b.Requests[at].Key) + len(b.Requests[at].Value)
	}
	buf := make([]byte, 0, total)
	keep := func(p []byte) []byte {
		if p == nil {
			return nil
		}
		buf = append(buf, p...)
		return buf[len(buf)-len(p) : len(buf) : len(buf)]
	}
	first := api.Seq(t.seq.Add(int32(len(order)))) - api.Seq(len(order)) + 1
	reqs := make([]api.Request, len(order))
	var chunks []bulkChunk
	size, from := 0, 0
	cut := func(to int) {
		chunks = append(chunks, bulkChunk{reqs: reqs[from:to:to], index: order[from:to]})
		size, from = 0, to
	}
	for n, at := range order {
		r := &b.Requests[at]
		need := len(r.Key) + len(r.Value) + versionOverhead
		if size += need; size > t.db.cfg.Limits.BatchBytes/2 && n > from {
			cut(n)
			size = need
		}
		q := &reqs[n]
		*q = api.Request{Kind: r.Kind, Key: keep(r.Key), Value: keep(r.Value), Seq: first + api.Seq(int(at)-i)}
		base := t.bulkBase(r)
		q.Expect, q.Lock, q.LockSeq = base.expect, base.lock, base.lockSeq
	}
	cut(len(order))
	return chunks
}

// bulkBase is base for a write whose condition the server checks.
func (t *Txn) bulkBase(r *api.Request) basis {
	if r.Expect.Kind == api.ExpectAbsent {
		h := t.locks.find(r.Key)
		if h == nil || h.exists || h.laid || h.strength != api.LockExclusive {
			return basis{expect: r.Expect}
		}
	}
	return t.base(r, true)
}

// noteBulk remembers where the intents of a bulk write will be.
func (t *Txn) noteBulk(chunks []bulkChunk) {
	for k := range chunks {
		for n := range chunks[k].reqs {
			r := &chunks[k].reqs[n]
			t.intents.add(t.keep.copy(r.Key), nil)
			if len(t.locks.list) > 0 {
				t.mu.Lock()
				if h := t.locks.find(r.Key); h != nil {
					h.laid = true
				}
				t.mu.Unlock()
			}
		}
	}
	t.flushedSeq.Store(t.seq.Load())
	t.holds.Store(true)
}
