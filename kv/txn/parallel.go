package txn

import (
	"context"
	"errors"
	"time"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/route"
	"github.com/pamirdb/pamir/pkg/hlc"
)

const (
	retryPause     = 20 * time.Millisecond
	recoverTimeout = 5 * time.Second
)

// answer is one half of a parallel commit's round.
type answer struct {
	br  *api.BatchResponse
	err error
}

// commitParallel lays the writes and the staging record in one round. The
// transaction is committed when all of them are there at or below the record's
// timestamp (Taft et al., "CockroachDB", SIGMOD 2020).
func (t *Txn) commitParallel(ctx context.Context, b *kv.Batch, desc *api.RangeDescriptor, list []*pending, locks []held) error {
	if err := t.settle(ctx); err != nil {
		return err
	}
	if err := t.validate(ctx, locks); err != nil {
		return err
	}
	here, there := partition(desc, list)
	t.noteIntents(list)
	t.staged = true
	stage, others := t.stageRequests(here, there, locks)
	m := t.meta.Load()
	// The two halves fail independently; both are awaited, so that nothing of this
	// attempt arrives during the next one.
	var laid answer
	done := make(chan struct{})
	send := func(context.Context) {
		defer close(done)
		if len(others) > 0 {
			laid.br, laid.err = t.sendHalf(ctx, m, others)
		}
	}
	if len(others) == 0 || !t.db.group.Go("txn writes", send) {
		send(ctx)
	}
	var record answer
	record.br, record.err = t.sendHalf(ctx, m, stage)
	<-done
	t.doubtful = t.doubtful || record.err != nil || laid.err != nil
	record.err = t.pushedPastLocks(record.err, locks)
	return t.decide(ctx, b, m, there, record, laid, func(i int, inStage bool) int32 {
		part := there
		if inStage {
			part = here
		}
		if i < len(part) {
			return part[i].index
		}
		return -1
	}, stage, others)
}

// partition splits the writes into those in the anchor's range and the others.
func partition(desc *api.RangeDescriptor, list []*pending) (here, there []*pending) {
	for _, p := range list {
		if desc.Contains(p.key) {
			here = append(here, p)
		} else {
			there = append(there, p)
		}
	}
	return here, there
}

// stageRequests returns the requests for the anchor's range, with the staging
// record last, and for the other ranges.
func (t *Txn) stageRequests(here, there []*pending, locks []held) (stage, others []api.Request) {
	end := t.endFixed(locks)
	for _, p := range here {
		stage = append(stage, impatient(p))
	}
	for _, p := range there {
		others = append(others, impatient(p))
		end.Txn.InFlight = append(end.Txn.InFlight, api.InFlightWrite{Key: p.key, Seq: p.last().seq})
	}
	return append(stage, end), others
}

// impatient returns a write that does not wait for a lock: while it waited, the
// staging record would make others wait for us, perhaps its holder.
func impatient(p *pending) api.Request {
	r := writeRequest(p, p.last())
	r.Wait = api.WaitError
	return r
}

func (t *Txn) sendHalf(ctx context.Context, m *api.TxnMeta, reqs []api.Request) (*api.BatchResponse, error) {
	ba := &api.BatchRequest{Requests: reqs}
	t.fillHeader(ba)
	ba.Txn, ba.ReadTS = m, m.ReadTS
	ba.NoIntents = false
	ba.ReadSeq = t.readSeq(0)
	// Were the answer to a write lost, the transaction might be committed: others
	// may find that out, resolve the write and build on it. If it were then laid
	// once more, above theirs, theirs would be gone.
	ba.Once = true
	return t.db.cfg.Ranges.Send(ctx, ba)
}

// decide says what the two halves of the round amount to.
func (t *Txn) decide(ctx context.Context, b *kv.Batch, m *api.TxnMeta, there []*pending, record, laid answer,
	index func(i int, inStage bool) int32, stage, others []api.Request) error {
	for _, a := range []answer{record, laid} {
		if a.br != nil {
			t.mu.Lock()
			t.noteAnswer(a.br)
			t.mu.Unlock()
			if b != nil {
				addStats(&b.Stats, &a.br.Stats)
			}
		}
	}
	switch {
	case record.err == nil && laid.err == nil:
		return t.staging(ctx, m, there, record.br, laid.br)
	case record.err != nil && isDefinite(record.err):
		return again(conditionOf(record.err, stage, func(i int) int32 { return index(i, true) }))
	case record.err == nil:
		switch r, err := t.unstage(ctx, m); {
		case err == nil && r.Status != api.Pending:
			return t.recovered(r)
		case err == nil && isDefinite(laid.err):
			return again(conditionOf(laid.err, others, func(i int) int32 { return index(i, false) }))
		case err == nil:
			return &againError{} // nobody can take it for committed any more
		case isDefinite(laid.err):
			return err
		}
	}
	return t.recoverOutcome(m, there, errors.Join(record.err, laid.err))
}

// again turns the news of a lock in the way into another try, which waits for it,
// and so that of a split of the anchor's range: then nothing of its half was sent.
func again(err error) error {
	var locked *api.LockUnavailableError
	var spans *route.SpansRangesError
	if errors.As(err, &locked) || errors.As(err, &spans) {
		return &againError{}
	}
	return err
}

// unstage makes the record pending again after a failed staging, and returns it.
// It is not pending if others were faster: they may have aborted the transaction,
// or found it committed when only the answer to a write was lost.
func (t *Txn) unstage(ctx context.Context, m *api.TxnMeta) (*api.TxnRecord, error) {
	ba := &api.BatchRequest{Requests: []api.Request{{
		Kind: api.HeartbeatTxn, Key: m.Anchor, Txn: &api.TxnArgs{Status: api.Staging},
	}}}
	ba.Txn, ba.ReadTS, ba.Gateway = m, m.ReadTS, m.Gateway
	br, err := t.db.cfg.Ranges.Send(ctx, ba)
	if err != nil {
		return nil, err
	}
	return br.Responses[0].Txn, nil
}

// staging ends a round in which every write was laid: the transaction is
// committed, unless a write was pushed above the record.
func (t *Txn) staging(ctx context.Context, m *api.TxnMeta, there []*pending, record, laid *api.BatchResponse) error {
	staged := m.WriteTS.Forward(record.WriteTS)
	if laid == nil || laid.WriteTS.LessEq(staged) {
		t.db.stats.parallel.Add(1)
		t.tell(ctx, m, there, staged)
		t.committedAt(staged, true)
		return nil
	}
	// Every intent is there, so that only the decision is left to be taken anew.
	t.db.stats.restaged.Add(1)
	t.buf = buffer{}
	if m.Isolation == api.Serializable {
		// What was read is refreshed first, which may mean to wait for another
		// transaction. One that does the same must be able to push this one: nobody
		// would give way to anybody otherwise.
		if r, err := t.unstage(ctx, m); err != nil {
			return err
		} else if r.Status != api.Pending {
			return t.recovered(r)
		}
	}
	up := t.edit()
	up.WriteTS = up.WriteTS.Forward(laid.WriteTS)
	t.meta.Store(up)
	return &againError{}
}

// tell lets others go on with the keys that the transaction wrote, before its
// record says that it is committed. The record's own range hears of it there.
func (t *Txn) tell(ctx context.Context, m *api.TxnMeta, there []*pending, at hlc.Timestamp) {
	if len(t.ignored) > 0 {
		return
	}
	args := &api.TxnArgs{Pushee: *m, Status: api.Staging, Lazy: true}
	args.Pushee.WriteTS = at
	ba := &api.BatchRequest{Header: api.Header{Gateway: m.Gateway}, Requests: make([]api.Request, 0, len(there))}
	for _, p := range there {
		ba.Requests = append(ba.Requests, api.Request{Kind: api.ResolveIntent, Key: p.key, Txn: args})
	}
	t.db.cfg.Ranges.Tell(ctx, ba)
}

// againError asks commit to try again at the present timestamps.
type againError struct{}

func (*againError) Error() string { return "txn: the commit needs another step" }

// isDefinite reports whether err says that the request had no effect, or one
// that this transaction knows how to undo.
func isDefinite(err error) bool {
	if err == nil {
		return true
	}
	var retry *api.RetryError
	var gone *api.AbortedError
	var deadline *api.DeadlineError
	var deadlock *api.DeadlockError
	var locked *api.LockUnavailableError
	var again *againError
	var spans *route.SpansRangesError
	return errors.As(err, &again) || errors.As(err, &spans) || errors.As(err, &retry) || errors.As(err, &gone) || asCondition(err) != nil ||
		errors.As(err, &deadline) || errors.As(err, &deadlock) || errors.As(err, &locked)
}

// recoverOutcome finds out whether a staging transaction of ours is committed,
// as anyone may: a write that is not there is prevented from ever appearing, and
// then the record is decided. It does not end with the client's context, for the
// client needs the answer.
func (t *Txn) recoverOutcome(m *api.TxnMeta, there []*pending, cause error) error {
	ctx, cancel := context.WithTimeout(t.db.patience, recoverTimeout)
	defer cancel()
	for {
		record, err := t.recoverOnce(ctx, m, there)
		switch {
		case err != nil:
		case record.Status == api.Committed || record.Status == api.Aborted:
			return t.recovered(record)
		case record.Status == api.Staging:
			m = &record.TxnMeta // staged at another timestamp than we asked for
			continue
		default:
			// The record was not staged, or not yet: an abort keeps it from coming.
			c := t.cleanup(api.Aborted)
			if err = c.sendEnd(ctx); err == nil {
				return t.recovered(&api.TxnRecord{Status: api.Aborted})
			}
		}
		if sleep(ctx, retryPause) != nil {
			return &api.AmbiguousError{Cause: cause.Error()}
		}
	}
}

func (t *Txn) recovered(record *api.TxnRecord) error {
	switch record.Status {
	case api.Committed:
		t.db.stats.parallel.Add(1)
		t.committedAt(record.WriteTS, false)
		return nil
	case api.Aborted:
		t.setStatus(aborted)
		return &api.AbortedError{Reason: "the commit could not be completed"}
	}
	return &api.AmbiguousError{Cause: "the record is " + record.Status.String()}
}

func (t *Txn) recoverOnce(ctx context.Context, m *api.TxnMeta, there []*pending) (*api.TxnRecord, error) {
	found := true
	if len(there) > 0 {
		ba := &api.BatchRequest{Header: api.Header{Gateway: m.Gateway}}
		for _, p := range there {
			ba.Requests = append(ba.Requests, api.Request{
				Kind: api.QueryIntent, Key: p.key, Seq: p.last().seq, Txn: &api.TxnArgs{Pushee: *m},
			})
		}
		br, err := t.db.cfg.Ranges.Send(ctx, ba)
		if err != nil {
			return nil, err
		}
		for i := range br.Responses {
			found = found && br.Responses[i].Found
		}
	}
	br, err := t.db.cfg.Ranges.Send(ctx, &api.BatchRequest{
		Header: api.Header{Gateway: m.Gateway},
		Requests: []api.Request{{
			Kind: api.RecoverTxn, Key: m.Anchor, Txn: &api.TxnArgs{Pushee: *m, Commit: found},
		}},
	})
	if err != nil {
		return nil, err
	}
	if r := br.Responses[0].Txn; r != nil {
		return r, nil
	}
	return &api.TxnRecord{TxnMeta: *m, Status: api.Pending}, nil
}
