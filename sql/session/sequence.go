package session

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// Sequences count outside of transactions. A node takes logged values at a time
// from the counter in kv, and gives up what is left after a short while, so that
// setval on another node is obeyed soon: it waits that long before it returns.
const (
	logged    = 32
	seqExpiry = 250 * time.Millisecond
)

// sequences are the blocks of values that a node holds.
type sequences struct {
	srv    *Server
	mu     sync.Mutex
	blocks map[string]*seqBlock
}

// seqBlock is the counter values after last up to end.
type seqBlock struct {
	mu        sync.Mutex
	last, end int64
	expires   time.Time
}

func newSequences(s *Server) *sequences { return &sequences{srv: s, blocks: map[string]*seqBlock{}} }

func sequenceKey(d *catalog.Sequence) []byte {
	return keys.TableIndex(uint32(d.ID), uint32(d.StorageID))
}

func (q *sequences) block(key []byte) *seqBlock {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.blocks[string(key)]
	if b == nil {
		b = &seqBlock{}
		q.blocks[string(key)] = b
	}
	return b
}

// next returns the sequence's next value. The counter is the value less what it
// was before the first one, so that an untouched counter of 0 begins at Start.
func (q *sequences) next(ctx context.Context, d *catalog.Sequence) (int64, error) {
	key := sequenceKey(d)
	b := q.block(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	usable, err := q.usable(ctx, b)
	if err != nil {
		return 0, err
	}
	if !usable {
		n := int64(logged)
		if d.Cache > n {
			n = d.Cache
		}
		end, err := q.srv.db.Increment(ctx, key, n*d.Increment)
		if err != nil {
			return 0, err
		}
		b.last, b.end = end-n*d.Increment, end
		b.expires = time.Now().Add(seqExpiry)
	}
	b.last += d.Increment
	v := b.last + d.Start - d.Increment
	if d.Increment > 0 && v > d.Max || d.Increment < 0 && v < d.Min {
		if !d.Cycle {
			b.end = b.last
			what, limit := "maximum", d.Max
			if d.Increment < 0 {
				what, limit = "minimum", d.Min
			}
			return 0, types.Errorf("2200H", "nextval: reached %s value of sequence \"%s\" (%d)", what, d.Name, limit)
		}
		low := d.Min
		if d.Increment < 0 {
			low = d.Max
		}
		if err := q.set(ctx, d, b, low, true); err != nil {
			return 0, err
		}
		return low, nil
	}
	return v, nil
}

// usable reports whether a block's next value may be given out. A node that is
// alone need not give blocks up: nobody else can have moved the counter.
func (q *sequences) usable(ctx context.Context, b *seqBlock) (bool, error) {
	if b.last == b.end {
		return false, nil
	}
	now := time.Now()
	if !now.After(b.expires) {
		return true, nil
	}
	others, err := q.srv.store.OtherNodes(ctx)
	if err != nil || others {
		return false, err
	}
	b.expires = now.Add(seqExpiry)
	return true, nil
}

// last returns the value that was given out last, or nothing if there was none.
func (q *sequences) last(ctx context.Context, d *catalog.Sequence) (v int64, called bool, err error) {
	key := sequenceKey(d)
	b := q.block(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	v, err = q.srv.db.Increment(ctx, key, 0)
	if err != nil || v == 0 {
		return 0, false, err
	}
	if v == b.end {
		v = b.last // the rest of what was taken ahead has not been given out
	}
	return v + d.Start - d.Increment, true, nil
}

// set moves the counter. Called with b locked.
func (q *sequences) set(ctx context.Context, d *catalog.Sequence, b *seqBlock, v int64, called bool) error {
	key := sequenceKey(d)
	target := v - d.Start + d.Increment
	if !called {
		target -= d.Increment
	}
	cur, err := q.srv.db.Increment(ctx, key, 0)
	if err != nil {
		return err
	}
	if _, err = q.srv.db.Increment(ctx, key, target-cur); err != nil {
		return err
	}
	b.last, b.end = target, target
	return nil
}

// setval moves the counter and waits until no node uses older values.
func (q *sequences) setval(ctx context.Context, d *catalog.Sequence, v int64, called bool) error {
	if v < d.Min || v > d.Max {
		return types.Errorf(types.CodeNumericValueOutOfRange, "setval: value %d is out of bounds for sequence \"%s\" (%d..%d)", v, d.Name, d.Min, d.Max)
	}
	b := q.block(sequenceKey(d))
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := q.set(ctx, d, b, v, called); err != nil {
		return err
	}
	others, err := q.srv.store.OtherNodes(ctx)
	if err != nil || !others {
		return err
	}
	t := time.NewTimer(seqExpiry)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// sessionSequences answers nextval and its kin for a session.
type sessionSequences Session

// find returns a sequence on which the user has one of some privileges, if any are
// named.
func (q *sessionSequences) find(oid types.OID, privileges string) (*catalog.Sequence, error) {
	s := (*Session)(q)
	d, ok := s.snapshot().ByOID(oid)
	if seq, is := d.(*catalog.Sequence); ok && is {
		if privileges == "" || strings.ContainsFunc(privileges, func(p rune) bool { return s.holds(s.user, seq, byte(p)) }) {
			return seq, nil
		}
		return nil, types.Errorf(types.CodeInsufficientPrivilege, "permission denied for sequence %s", seq.Name)
	}
	if !ok {
		return nil, types.Errorf(types.CodeUndefinedTable, "relation with OID %d does not exist", oid)
	}
	return nil, types.Errorf(types.CodeWrongObjectType, "\"%s\" is not a sequence", d.Head().Name)
}

// Nextval implements builtin.Sequences.
func (q *sessionSequences) Nextval(oid types.OID, identity bool) (int64, error) {
	privileges := "Uw"
	if identity {
		privileges = ""
	}
	d, err := q.find(oid, privileges)
	if err != nil {
		return 0, err
	}
	if q.t.readOnly {
		return 0, types.Errorf(types.CodeReadOnlyTransaction, "cannot execute nextval() in a read-only transaction")
	}
	v, err := q.srv.seqs.next(q.ctx, d)
	if err == nil {
		q.currvals[oid], q.lastSeq = v, oid
	}
	return v, err
}

// Currval implements builtin.Sequences.
func (q *sessionSequences) Currval(oid types.OID) (int64, error) {
	d, err := q.find(oid, "Ur")
	if err != nil {
		return 0, err
	}
	v, ok := q.currvals[oid]
	if !ok {
		return 0, types.Errorf(types.CodeObjectNotInPrerequisite, "currval of sequence \"%s\" is not yet defined in this session", d.Name)
	}
	return v, nil
}

// Lastval implements builtin.Sequences.
func (q *sessionSequences) Lastval() (int64, error) {
	v, ok := q.currvals[q.lastSeq]
	if !ok {
		return 0, types.Errorf(types.CodeObjectNotInPrerequisite, "lastval is not yet defined in this session")
	}
	if _, err := q.find(q.lastSeq, "Ur"); types.CodeOf(err) == types.CodeUndefinedTable {
		return 0, types.Errorf(types.CodeObjectNotInPrerequisite, "lastval is not yet defined in this session")
	} else if err != nil {
		return 0, err
	}
	return v, nil
}

// Setval implements builtin.Sequences.
func (q *sessionSequences) Setval(oid types.OID, v int64, called bool) error {
	d, err := q.find(oid, "w")
	if err != nil {
		return err
	}
	if q.t.readOnly {
		return types.Errorf(types.CodeReadOnlyTransaction, "cannot execute setval() in a read-only transaction")
	}
	if err := q.srv.seqs.setval(q.ctx, d, v, called); err != nil {
		return err
	}
	if called {
		q.currvals[oid], q.lastSeq = v, oid
	}
	return nil
}
