package txn

import (
	"context"
	"errors"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
)

// absorb makes a failed request worth sending again, or returns the error for
// the caller. at is the timestamp that the request read at.
func (t *Txn) absorb(ctx context.Context, err error, at hlc.Timestamp) error {
	var retry *api.RetryError
	var gone *api.AbortedError
	var again *againError
	var deadlock *api.DeadlockError
	switch {
	case errors.As(err, &again):
		return nil
	case errors.As(err, &retry):
		return t.absorbRetry(ctx, retry, at)
	case errors.As(err, &gone):
		t.setStatus(aborted)
	case errors.As(err, &deadlock):
		t.mu.Lock()
		t.victim = true
		t.mu.Unlock()
	}
	return err
}

func (t *Txn) absorbRetry(ctx context.Context, retry *api.RetryError, at hlc.Timestamp) error {
	t.snap.Lock()
	defer t.snap.Unlock()
	t.retryTS = t.retryTS.Forward(retry.Timestamp)
	switch retry.Reason {
	case api.ReasonRefreshFailed, api.ReasonStaleBase, api.ReasonLeaseMoved:
		// What was read or locked has changed: no timestamp mends that.
		return t.stick(retry)
	}
	now := t.meta.Load().ReadTS
	if !now.Less(retry.Timestamp) {
		if at.Less(now) {
			return nil // a concurrent read has moved the snapshot meanwhile
		}
		// The server saw us there and still refused: only a later one helps.
		retry = &api.RetryError{Reason: retry.Reason, Timestamp: now.Next()}
	}
	if !t.opts.AsOf.IsZero() {
		return t.stick(retry)
	}
	if err := t.refresh(ctx, retry.Timestamp); err != nil {
		var failed *api.RetryError
		if errors.As(err, &failed) {
			return t.stick(&api.RetryError{Reason: retry.Reason, Timestamp: t.retryTS})
		}
		return err
	}
	return nil
}

// stick ends the attempt: the transaction can only start over.
func (t *Txn) stick(err *api.RetryError) error {
	t.setStatus(stuck)
	return err
}

// refresh moves the snapshot to ts after checking that nothing that was read has
// changed up to there. Callers hold t.snap.
func (t *Txn) refresh(ctx context.Context, ts hlc.Timestamp) error {
	m := t.edit()
	from := m.ReadTS
	m.ReadTS = ts
	m.WriteTS = m.WriteTS.Forward(ts)
	t.db.stats.refreshes.Add(1)
	t.mu.Lock()
	t.info.Refreshes++
	spans := t.reads.spans()
	t.mu.Unlock()
	if len(spans) > 0 {
		if err := t.sendRefresh(ctx, m, from, spans); err != nil {
			var gone *api.AbortedError
			if errors.As(err, &gone) {
				t.setStatus(aborted)
			}
			t.db.stats.refreshFailures.Add(1)
			return err
		}
	}
	t.meta.Store(m)
	return nil
}

// freshen moves the snapshot up when one of reqs must see the newest rows and
// there are some that it does not show. At SERIALIZABLE the commit finds out.
func (t *Txn) freshen(ctx context.Context, reqs []api.Request) error {
	if t.opts.Isolation == api.Serializable {
		return nil
	}
	var spans []api.Span
	for i := range reqs {
		if o := reqs[i].Scan; o != nil && o.Latest {
			spans = append(spans, api.Span{Start: reqs[i].Key, End: reqs[i].End})
		}
	}
	if len(spans) == 0 {
		return nil
	}
	t.snap.Lock()
	defer t.snap.Unlock()
	m := t.edit()
	from := m.ReadTS
	m.ReadTS = t.db.cfg.Clock.Now().Forward(from)
	err := t.sendRefresh(ctx, m, from, spans)
	var newer *api.RetryError
	if !errors.As(err, &newer) {
		return err
	}
	t.retryTS = t.retryTS.Forward(m.ReadTS)
	if err := t.refresh(ctx, m.ReadTS); err != nil {
		var failed *api.RetryError
		if errors.As(err, &failed) {
			return t.stick(&api.RetryError{Reason: api.ReasonNewerVersion, Timestamp: t.retryTS})
		}
		return err
	}
	return nil
}

func (t *Txn) sendRefresh(ctx context.Context, m *api.TxnMeta, from hlc.Timestamp, spans []api.Span) error {
	ba := t.newBatch()
	ba.Txn, ba.ReadTS = m, m.ReadTS
	ba.ReadSeq = t.readSeq(0)
	ba.Requests = make([]api.Request, len(spans))
	for i, s := range spans {
		ba.Requests[i] = api.Request{Kind: api.Refresh, Key: s.Start, End: s.End, RefreshFrom: from}
	}
	br, err := t.db.cfg.Ranges.Send(ctx, ba)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.noteAnswer(br)
	t.mu.Unlock()
	return nil
}
