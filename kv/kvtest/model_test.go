package kvtest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/kv/txn"
)

// model is one transaction as it should be: the committed rows below, and the
// writes since by sequence.
type model struct {
	base   map[int]string
	writes []modelWrite
	// points are the savepoints and read sequences that are still valid.
	points []api.Seq
}

type modelWrite struct {
	seq   api.Seq
	key   int
	value string // "" deletes
}

func (m *model) at(seq api.Seq) map[int]string {
	rows := maps.Clone(m.base)
	for _, w := range m.writes {
		if seq != 0 && w.seq > seq {
			continue
		}
		if w.value == "" {
			delete(rows, w.key)
		} else {
			rows[w.key] = w.value
		}
	}
	return rows
}

func (m *model) rollback(seq api.Seq) {
	m.writes = slices.DeleteFunc(m.writes, func(w modelWrite) bool { return w.seq > seq })
	m.points = slices.DeleteFunc(m.points, func(s api.Seq) bool { return s > seq })
}

func rowsIn(rows map[int]string, from, to int, reverse bool) string {
	var ks []int
	for k := range rows {
		if k >= from && k < to {
			ks = append(ks, k)
		}
	}
	slices.Sort(ks)
	if reverse {
		slices.Reverse(ks)
	}
	var sb strings.Builder
	for _, k := range ks {
		fmt.Fprintf(&sb, "%d=%s ", k, rows[k])
	}
	return sb.String()
}

const modelKeys = 60

// TestTransactionMatchesModel runs random operations of one transaction at a time
// on every shape and compares each read with the model.
func TestTransactionMatchesModel(t *testing.T) {
	all := shapes()
	all["tiny flushes"] = kvtest.Options{Splits: all["ranges"].Splits, Limits: txn.Limits{FlushWrites: 5, CarryBytes: 100}}
	for name, o := range all {
		t.Run(name, func(t *testing.T) {
			c := kvtest.NewCluster(o)
			defer c.Close()
			r := rand.New(rand.NewPCG(42, 7))
			rows := map[int]string{}
			for n := range 60 {
				iso := api.Isolation(n % 3)
				tx := begin(t, c.Node(1), kv.TxnOptions{Isolation: iso})
				m := &model{base: rows}
				for i := range 1 + r.IntN(40) {
					modelStep(t, r, tx, m, fmt.Sprintf("%d.%d", n, i))
				}
				if r.IntN(4) == 0 {
					must(t, tx.Rollback(context.Background()))
					continue
				}
				must(t, tx.Commit(context.Background()))
				rows = m.at(0)
			}
		})
	}
}

func modelStep(t *testing.T, r *rand.Rand, tx kv.Txn, m *model, value string) {
	t.Helper()
	ctx := context.Background()
	k := r.IntN(modelKeys)
	var seq api.Seq
	if len(m.points) > 0 && r.IntN(2) == 0 {
		seq = m.points[r.IntN(len(m.points))]
	}
	switch r.IntN(9) {
	case 0, 1, 2:
		modelWriteStep(t, r, tx, m, k, value)
	case 3:
		m.points = append(m.points, max(1, tx.Step()))
	case 4:
		sp := tx.Savepoint()
		m.points = append(m.points, max(1, sp.Seq))
	case 5:
		if len(m.points) > 0 && r.IntN(2) == 0 {
			to := m.points[r.IntN(len(m.points))]
			must(t, tx.RollbackTo(ctx, kv.Savepoint{Seq: to}))
			m.rollback(to)
		}
	case 6:
		b := &kv.Batch{ReadSeq: seq}
		if r.IntN(2) == 0 {
			b.Get(key(k))
		} else {
			b.GetLocked(key(k), api.LockExclusive, api.WaitBlock)
		}
		must(t, tx.Send(ctx, b))
		want, ok := m.at(seq)[k]
		if got := &b.Responses[0]; got.Exists != ok || string(got.Value) != want && ok {
			t.Fatalf("get %d at %d: %v %q, want %v %q", k, seq, got.Exists, got.Value, ok, want)
		}
	default:
		modelScan(t, r, tx, m, k, seq)
	}
}

func modelWriteStep(t *testing.T, r *rand.Rand, tx kv.Txn, m *model, k int, value string) {
	t.Helper()
	var b kv.Batch
	expect := api.Expect{}
	del := r.IntN(4) == 0
	if r.IntN(3) == 0 && !del {
		expect.Kind = api.ExpectAbsent
	}
	if del {
		value = ""
		b.Delete(key(k), expect)
	} else {
		b.Put(key(k), []byte(value), expect)
	}
	was, exists := m.at(0)[k]
	err := tx.Send(context.Background(), &b)
	if expect.Kind == api.ExpectAbsent && exists {
		var failed *api.ConditionFailedError
		if !errors.As(err, &failed) || string(failed.Existing) != was {
			t.Fatalf("insert over %d=%q: %v", k, was, err)
		}
		return
	}
	must(t, err)
	m.writes = append(m.writes, modelWrite{tx.Savepoint().Seq, k, value})
}

func modelScan(t *testing.T, r *rand.Rand, tx kv.Txn, m *model, k int, seq api.Seq) {
	t.Helper()
	to := k + 1 + r.IntN(30)
	reverse := r.IntN(2) == 0
	o := &api.ScanOptions{}
	if r.IntN(2) == 0 {
		o.MaxRows = int64(1 + r.IntN(5))
	}
	got := map[int]string{}
	var sb strings.Builder
	for start, end := key(k), key(to); ; {
		b := &kv.Batch{ReadSeq: seq, Requests: []api.Request{{Kind: api.Scan, Key: start, End: end, Scan: o, Reverse: reverse}}}
		must(t, tx.Send(context.Background(), b))
		res := &b.Responses[0]
		if o.MaxRows > 0 && int64(len(res.KVs)) > o.MaxRows {
			t.Fatalf("%d rows, limit %d", len(res.KVs), o.MaxRows)
		}
		for _, row := range res.KVs {
			n := keyNumber(t, row.Key)
			got[n] = string(row.Value)
			fmt.Fprintf(&sb, "%d=%s ", n, row.Value)
		}
		if res.Resume == nil {
			break
		}
		if reverse {
			end = res.Resume
		} else {
			start = res.Resume
		}
	}
	if want := rowsIn(m.at(seq), k, to, reverse); sb.String() != want {
		t.Fatalf("scan [%d, %d) at %d reverse %v limit %d:\n got %s\nwant %s", k, to, seq, reverse, o.MaxRows, sb.String(), want)
	}
}

func keyNumber(t *testing.T, k api.Key) int {
	t.Helper()
	for i := range modelKeys + 40 {
		if string(key(i)) == string(k) {
			return i
		}
	}
	t.Fatalf("unknown key %x", k)
	return 0
}
