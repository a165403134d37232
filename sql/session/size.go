package session

import (
	"bytes"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// relationSize is the size of a table's rows, or of an index.
func relationSize(s *Session, a []types.Datum) (types.Datum, error) {
	t, x, err := s.stored(oidArg(a, 0))
	if t == nil || err != nil {
		return types.Null, err
	}
	if x == nil {
		return types.NewInt(0), nil
	}
	return s.indexBytes(t, x)
}

// totalSize is a table's size with its indexes.
func totalSize(s *Session, a []types.Datum) (types.Datum, error) {
	t, x, err := s.stored(oidArg(a, 0))
	switch {
	case t == nil || err != nil:
		return types.Null, err
	case x == nil:
		return types.NewInt(0), nil
	case t.ID != oidArg(a, 0):
		return s.indexBytes(t, x)
	}
	start, end := keys.TableSpan(uint32(t.ID))
	return s.spanBytes(start, end)
}

// indexesSize is the size of a table's indexes, without the rows.
func indexesSize(s *Session, a []types.Datum) (types.Datum, error) {
	t, _, err := s.stored(oidArg(a, 0))
	if t == nil || err != nil {
		return types.Null, err
	}
	n := int64(0)
	for i := range t.Indexes {
		if x := &t.Indexes[i]; x.OID != t.Primary {
			d, err := s.indexBytes(t, x)
			if err != nil {
				return types.Null, err
			}
			n += d.Int()
		}
	}
	return types.NewInt(n), nil
}

// stored finds the table of an oid and the index that its data is in: the
// primary one for a table. A relation without data has no index, and an unknown
// one no table.
func (s *Session) stored(oid types.OID) (*catalog.Table, *catalog.Index, error) {
	d, ok := s.snapshot().ByOID(oid)
	if !ok {
		return nil, nil, nil
	}
	t, ok := d.(*catalog.Table)
	if !ok || t.Virtual {
		return &catalog.Table{}, nil, nil
	}
	if t.ID == oid {
		return t, t.PrimaryIndex(), nil
	}
	x, _ := t.Index(oid)
	return t, x, nil
}

func (s *Session) indexBytes(t *catalog.Table, x *catalog.Index) (types.Datum, error) {
	if x.OID == t.Primary && len(t.Indexes) == 1 {
		start, end := keys.TableSpan(uint32(t.ID))
		return s.spanBytes(start, end)
	}
	start := keys.TableIndex(uint32(t.ID), uint32(x.Storage))
	return s.spanBytes(start, keys.PrefixEnd(start))
}

// spanBytes adds up the sizes of the ranges in a span. Ranges that hold other
// things too are small enough to be looked through.
func (s *Session) spanBytes(start, end []byte) (types.Datum, error) {
	list, err := s.srv.db.Admin().Ranges(s.ctx, start, end)
	if err != nil {
		return types.Null, err
	}
	n := int64(0)
	for _, r := range list {
		from, to := r.Desc.Start, r.Desc.End
		if bytes.Compare(from, start) >= 0 && bytes.Compare(to, end) <= 0 {
			n += r.Bytes
			continue
		}
		if bytes.Compare(from, start) < 0 {
			from = start
		}
		if bytes.Compare(to, end) > 0 {
			to = end
		}
		part, err := s.countBytes(from, to)
		if err != nil {
			return types.Null, err
		}
		n += part
	}
	return types.NewInt(n), nil
}

// countBytes adds up the keys and values of a span.
func (s *Session) countBytes(start, end []byte) (n int64, err error) {
	err = s.srv.db.Run(s.ctx, kv.TxnOptions{ReadOnly: true, Isolation: api.ReadCommitted}, func(t kv.Txn) error {
		n = 0
		for from := start; from != nil; {
			var b kv.Batch
			b.Scan(from, end, &api.ScanOptions{MaxRows: 1024})
			if err := t.Send(s.ctx, &b); err != nil {
				return err
			}
			r := &b.Responses[0]
			for i := range r.KVs {
				n += int64(len(r.KVs[i].Key) + len(r.KVs[i].Value))
			}
			from = r.Resume
		}
		return nil
	})
	return n, err
}

func databaseSize(s *Session, _ []types.Datum) (types.Datum, error) {
	start, end := keys.TablePrefix, keys.TableEnd
	list, err := s.srv.db.Admin().Ranges(s.ctx, start, end)
	n := int64(0)
	for _, r := range list {
		n += r.Bytes
	}
	return types.NewInt(n), err
}
