package route

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/keys"
)

// part is what one range gets of a batch. from[i] is the request of the whole
// batch that requests[i] is a piece of.
type part struct {
	e        *entry
	requests []api.Request
	from     []int
	br       *api.BatchResponse
	err      error
	ended    bool // because another part had failed
}

// piece says where a request's answer, or one range's share of it, is found.
type piece struct {
	part *part
	at   int
}

// plan is a batch cut along range bounds.
type plan struct {
	parts []*part
	// pieces lists each request's pieces in key order.
	pieces [][]piece
	// limited lists requests that go range after range instead, since each
	// answer decides whether the next range is asked.
	limited []int
	// byEntry finds a range's part once there are many.
	byEntry map[*entry]*part
	// single holds the pieces of requests that lie in one range.
	single []piece
}

// fewParts is how many parts are as well looked through as hashed.
const fewParts = 8

// sendSplit sends a batch that does not lie in one range.
func (r *Router) sendSplit(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	r.stats.splits.Add(1)
	for i := range ba.Requests {
		if ba.Requests[i].Kind == api.EndTxn && len(ba.Requests) > 1 {
			return nil, &SpansRangesError{}
		}
	}
	whole := *ba
	if whole.Txn == nil && whole.ReadTS.IsZero() {
		// Each leaseholder would choose its own present.
		whole.ReadTS = r.cfg.Clock.Now()
	}
	whole.CanRefresh = false // the parts must read at one timestamp
	p, err := r.plan(ctx, &whole)
	if err != nil {
		return nil, err
	}
	if err := r.sendParts(ctx, &whole, p.parts); err != nil {
		return nil, err
	}
	out := &api.BatchResponse{Responses: make([]api.Response, len(ba.Requests))}
	for _, part := range p.parts {
		mergeHead(out, part.br)
	}
	for i := range whole.Requests {
		out.Responses[i] = mergePieces(&whole.Requests[i], p.pieces[i])
	}
	for _, i := range p.limited {
		if out.Responses[i], err = r.sendLimited(ctx, &whole, &whole.Requests[i], out); err != nil {
			return nil, indexed(err, func(int) int { return i })
		}
	}
	return out, nil
}

func (r *Router) plan(ctx context.Context, ba *api.BatchRequest) (*plan, error) {
	p := &plan{pieces: make([][]piece, len(ba.Requests)), single: make([]piece, 0, len(ba.Requests))}
	for i := range ba.Requests {
		req := &ba.Requests[i]
		e, err := r.locate(ctx, req.Key)
		if err != nil {
			return nil, err
		}
		if req.End == nil || e.contains(req) {
			p.add(e, i, req)
			continue
		}
		if req.Kind == api.Scan && req.Scan != nil && (req.Scan.MaxRows > 0 || req.Scan.MaxBytes > 0) {
			p.limited = append(p.limited, i)
			continue
		}
		err = r.eachRange(ctx, req.Key, req.End, func(e *entry, start, end api.Key) bool {
			cut := *req
			cut.Key, cut.End = start, end
			p.add(e, i, &cut)
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *plan) add(e *entry, i int, req *api.Request) {
	to := p.part(e, len(p.pieces)-i)
	at := piece{to, len(to.requests)}
	if n := len(p.single); p.pieces[i] == nil && n < cap(p.single) {
		p.single = append(p.single, at)
		p.pieces[i] = p.single[n : n+1 : n+1]
	} else {
		p.pieces[i] = append(p.pieces[i], at)
	}
	to.requests = append(to.requests, *req)
	to.from = append(to.from, i)
}

// part returns a range's part; a new one has room for some of the requests that
// are left.
func (p *plan) part(e *entry, left int) *part {
	for _, to := range p.parts[:min(len(p.parts), fewParts)] {
		if to.e == e {
			return to
		}
	}
	if to := p.byEntry[e]; to != nil {
		return to
	}
	room := min(left, fewParts)
	to := &part{e: e, requests: make([]api.Request, 0, room), from: make([]int, 0, room)}
	if p.parts = append(p.parts, to); len(p.parts) > fewParts {
		if p.byEntry == nil {
			p.byEntry = map[*entry]*part{}
		}
		p.byEntry[e] = to
	}
	return to
}

// eachRange calls f for each range that overlaps [start, end), in key order,
// with the overlap, until it returns false.
func (r *Router) eachRange(ctx context.Context, start, end api.Key, f func(e *entry, start, end api.Key) bool) error {
	for bytes.Compare(start, end) < 0 {
		e, err := r.locate(ctx, start)
		if err != nil {
			return err
		}
		stop := e.desc.End
		if bytes.Compare(end, stop) < 0 {
			stop = end
		}
		if !f(e, start, stop) {
			return nil
		}
		start = stop
		if bytes.Compare(start, keys.MaxKey) >= 0 {
			return nil
		}
	}
	return nil
}

// sendParts sends every part, the last one on this goroutine, and waits for all.
func (r *Router) sendParts(ctx context.Context, whole *api.BatchRequest, parts []*part) error {
	if len(parts) == 0 {
		return nil
	}
	if len(parts) == 1 {
		r.sendPart(ctx, whole, parts[0])
		return firstError(parts)
	}
	cancels := make([]context.CancelFunc, len(parts))
	ctxs := make([]context.Context, len(parts))
	for i := range parts {
		ctxs[i], cancels[i] = context.WithCancel(ctx)
		defer cancels[i]()
	}
	room := make(chan struct{}, r.cfg.MaxFanOut)
	var wg sync.WaitGroup
	send := func(i int) {
		r.sendPart(ctxs[i], whole, parts[i])
		switch {
		case parts[i].err == nil:
		case ctxs[i].Err() == nil:
			endOthers(parts, cancels, i)
		default: // what another one has ended has nothing to say about the rest
			parts[i].ended = ctx.Err() == nil
		}
	}
	for i := range parts[:len(parts)-1] {
		room <- struct{}{}
		wg.Add(1)
		r.spawn(func(context.Context) { // awaited below: no part outlives the call
			defer wg.Done()
			send(i)
			<-room
		})
	}
	send(len(parts) - 1)
	wg.Wait()
	return firstError(parts)
}

// spawn runs f in another goroutine.
func (r *Router) spawn(f func(context.Context)) {
	if r.cfg.Go == nil || !r.cfg.Go("kv batch of a range", f) {
		go f(context.Background())
	}
}

// endOthers ends the waits for locks of the other parts, since one has failed.
// Where a row was in the way, the parts go on that may find one for an earlier
// request: the first in the batch's order is the answer, every time.
func endOthers(parts []*part, cancels []context.CancelFunc, failed int) {
	var condition *api.ConditionFailedError
	inTheWay := errors.As(parts[failed].err, &condition)
	for i, p := range parts {
		if i != failed && (!inTheWay || len(p.from) == 0 || p.from[0] > condition.Index) {
			cancels[i]()
		}
	}
}

func (r *Router) sendPart(ctx context.Context, whole *api.BatchRequest, p *part) {
	ba := &api.BatchRequest{Header: whole.Header, Requests: p.requests}
	ba.Carried = carriedIn(whole.Carried, &p.e.desc)
	p.br, p.err = r.sendToRange(ctx, p.e, ba)
	if p.err == errResplit {
		// Only this part is sent again; the others may have been executed.
		p.br, p.err = r.Send(ctx, ba)
	}
	if p.err != nil {
		p.err = indexed(p.err, func(i int) int { return p.from[i] })
	}
}

// carriedIn returns the part of carried, which is in key order, inside a range.
func carriedIn(carried []api.CarriedWrite, d *api.RangeDescriptor) []api.CarriedWrite {
	if len(carried) == 0 {
		return nil
	}
	find := func(k api.Key) int {
		i, _ := slices.BinarySearchFunc(carried, k, func(c api.CarriedWrite, k api.Key) int { return bytes.Compare(c.Key, k) })
		return i
	}
	return carried[find(d.Start):find(d.End)]
}

// indexed returns err with the request's place in the whole batch.
func indexed(err error, place func(int) int) error {
	var failed *api.ConditionFailedError
	if !errors.As(err, &failed) {
		return err
	}
	moved := *failed
	moved.Index = place(failed.Index)
	return &moved
}

// firstError returns the parts' most telling error: what decides the
// transaction's fate before what another try may mend, and the cancellation
// that one part's failure brought to the others last.
func firstError(parts []*part) error {
	var worst error
	rank := 0
	for _, p := range parts {
		if p.err == nil {
			continue
		}
		n := severity(p.err)
		if n == rankOther && p.ended {
			n = rankCanceled // whatever became of it, it is not why the batch failed
		}
		switch {
		case n > rank:
			worst, rank = p.err, n
		case n == rank && n == rankRetry:
			worst = laterRetry(worst, p.err)
		case n == rank && n == rankCondition:
			worst = earlierCondition(worst, p.err)
		}
	}
	return worst
}

const (
	rankCanceled = iota + 1
	rankRetry
	rankOther
	rankCondition
	rankAborted
)

func severity(err error) int {
	var aborted *api.AbortedError
	var retry *api.RetryError
	var condition *api.ConditionFailedError
	switch {
	case errors.As(err, &aborted):
		return rankAborted
	case errors.As(err, &condition):
		return rankCondition
	case errors.As(err, &retry):
		return rankRetry
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return rankCanceled
	}
	return rankOther
}

// earlierCondition returns the error about the request that comes first.
func earlierCondition(a, b error) error {
	var ca, cb *api.ConditionFailedError
	if errors.As(a, &ca) && errors.As(b, &cb) && cb.Index < ca.Index {
		return b
	}
	return a
}

// laterRetry returns the retry error with the later timestamp: going there at
// once saves a second try.
func laterRetry(a, b error) error {
	var ra, rb *api.RetryError
	if errors.As(a, &ra) && errors.As(b, &rb) && ra.Timestamp.Less(rb.Timestamp) {
		return b
	}
	return a
}

// mergeHead adds what a part's answer says of the whole batch.
func mergeHead(out, br *api.BatchResponse) {
	out.Now = out.Now.Forward(br.Now)
	out.ReadTS = out.ReadTS.Forward(br.ReadTS)
	out.WriteTS = out.WriteTS.Forward(br.WriteTS)
	out.Stats.RowsScanned += br.Stats.RowsScanned
	out.Stats.BytesScanned += br.Stats.BytesScanned
	out.Stats.Proposals += br.Stats.Proposals
	out.Stats.LockWaitNanos = max(out.Stats.LockWaitNanos, br.Stats.LockWaitNanos)
	out.Stats.Ranges += br.Stats.Ranges
	out.Stats.RPCs += br.Stats.RPCs
	for _, o := range br.ObservedAt {
		out.ObservedAt = observe(out.ObservedAt, o)
	}
	if len(br.ObservedAt) == 0 && !br.Observed.IsZero() {
		out.ObservedAt = observe(out.ObservedAt, api.ObservedTimestamp{Node: br.Node, TS: br.Observed})
	}
}

// observe keeps the earliest observation of each node.
func observe(list []api.ObservedTimestamp, o api.ObservedTimestamp) []api.ObservedTimestamp {
	for i := range list {
		if list[i].Node == o.Node {
			if o.TS.Less(list[i].TS) {
				list[i].TS = o.TS
			}
			return list
		}
	}
	return append(list, o)
}

// mergePieces puts a request's answers together. The pieces are in key order.
func mergePieces(req *api.Request, pieces []piece) (out api.Response) {
	if len(pieces) == 1 {
		return pieces[0].part.br.Responses[pieces[0].at]
	}
	var m merger
	for i := range pieces {
		p := pieces[i]
		if req.Reverse {
			p = pieces[len(pieces)-1-i]
		}
		if !m.add(&p.part.br.Responses[p.at]) {
			break
		}
	}
	return m.out
}

// merger collects the answers of the ranges of one request, in scan order.
type merger struct{ out api.Response }

// add takes the next range's answer and reports whether the request goes on
// behind it.
func (m *merger) add(r *api.Response) bool {
	o := &m.out
	o.Locked = append(o.Locked, r.Locked...)
	o.Number += r.Number
	o.Found = o.Found || r.Found
	switch {
	case len(r.Parts) > 0:
		o.Parts = append(o.Parts, r.Parts...)
	case r.Result != nil || r.Encoded != nil || r.Raw:
		part := *r
		part.Locked, part.Resume = nil, nil
		o.Parts = append(o.Parts, part)
	default:
		o.KVs = append(o.KVs, r.KVs...)
	}
	o.Resume = r.Resume
	return r.Resume == nil
}

// rowsIn counts the rows of a scan's answer; ok is false when only the
// requester's evaluator could.
func rowsIn(r *api.Response) (rows, size int64, ok bool) {
	for i := range r.Parts {
		n, s, ok := rowsIn(&r.Parts[i])
		if !ok {
			return 0, 0, false
		}
		rows, size = rows+n, size+s
	}
	switch {
	case len(r.Parts) > 0:
	case r.Result != nil:
		rows, size = r.Result.Size()
	case r.Encoded != nil:
		return r.Number, int64(len(r.Encoded)), true
	case r.Raw:
		// Raw rows have not been through the program: how many survive is unknown.
		return 0, 0, len(r.KVs) == 0
	default:
		rows = int64(len(r.KVs))
		for i := range r.KVs {
			size += int64(len(r.KVs[i].Key) + len(r.KVs[i].Value))
		}
	}
	return rows, size, true
}

// sendLimited sends a scan with limits to one range after the other until a
// limit is reached.
func (r *Router) sendLimited(ctx context.Context, whole *api.BatchRequest, req *api.Request, head *api.BatchResponse) (api.Response, error) {
	var m merger
	left := *req.Scan
	start, end := req.Key, req.End
	for bytes.Compare(start, end) < 0 {
		from, to, err := r.nextPiece(ctx, start, end, req.Reverse)
		if err != nil {
			return m.out, err
		}
		cut := *req
		cut.Key, cut.End = from, to
		limits := left
		cut.Scan = &limits
		br, err := r.Send(ctx, &api.BatchRequest{
			Header:   limitedHeader(whole, from, to),
			Requests: []api.Request{cut},
		})
		if err != nil {
			return m.out, err
		}
		mergeHead(head, br)
		if !m.add(&br.Responses[0]) {
			return m.out, nil
		}
		if req.Reverse {
			end = from
		} else {
			start = to
		}
		if bytes.Compare(start, end) >= 0 {
			return m.out, nil
		}
		if spent(&left, &br.Responses[0]) {
			m.out.Resume = start
			if req.Reverse {
				m.out.Resume = end
			}
			return m.out, nil
		}
	}
	return m.out, nil
}

// limitedHeader is the header for one range of a limited scan. The timestamp
// stays what it was when an earlier range was read.
func limitedHeader(whole *api.BatchRequest, from, to api.Key) api.Header {
	h := whole.Header
	h.Carried = carriedIn(whole.Carried, &api.RangeDescriptor{Start: from, End: to})
	return h
}

// nextPiece returns the next range's part of [start, end).
func (r *Router) nextPiece(ctx context.Context, start, end api.Key, reverse bool) (from, to api.Key, err error) {
	err = r.eachRange(ctx, start, end, func(_ *entry, s, e api.Key) bool {
		from, to = s, e
		return reverse
	})
	return from, to, err
}

// spent lowers the limits by what an answer holds and reports whether nothing
// more may be asked for.
func spent(left *api.ScanOptions, r *api.Response) bool {
	rows, size, ok := rowsIn(r)
	if !ok {
		return true
	}
	if left.MaxRows > 0 {
		if left.MaxRows -= rows; left.MaxRows <= 0 {
			return true
		}
	}
	if left.MaxBytes > 0 {
		if left.MaxBytes -= size; left.MaxBytes <= 0 {
			return true
		}
	}
	return false
}
