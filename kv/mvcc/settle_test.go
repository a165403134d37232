package mvcc_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// TestSettledReadsAsResolved reads intents whose writers are known to have
// committed, before and after they are resolved: nobody may see a difference. Then
// it writes over half of them without resolving first.
func TestSettledReadsAsResolved(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	for round := 0; round < 80; round++ {
		s := newScript()
		writer := &api.TxnMeta{ID: ids.TxnID{9}, WriteTS: ts(int64(80 + rnd.Intn(20))), Epoch: 2}
		m := model{map[string][]modelVersion{}, map[string][]mvcc.SeqValue{}}
		ks := randomKeys(rnd)
		fill(rnd, s, &m, writer, ks)
		var options []*mvcc.ReadOptions
		for i := 0; i < 12; i++ {
			o := &mvcc.ReadOptions{TS: ts(int64(rnd.Intn(120))), Lock: rnd.Intn(4) == 0}
			o.Limit = ts(o.TS.WallNanos + int64(rnd.Intn(40)))
			o.Committed = func(by *api.TxnMeta) hlc.Timestamp {
				if by.ID == writer.ID && by.Epoch == writer.Epoch {
					return writer.WriteTS
				}
				return hlc.Timestamp{}
			}
			options = append(options, o)
		}
		before := readAll(t, s, ks, options)
		var sc mvcc.Scratch
		for _, k := range ks {
			head, err := mvcc.GetHead(s.eng, &sc, space, []byte(k))
			if err != nil {
				t.Fatal(err)
			}
			var c mvcc.Changes
			if head.Intent != nil && rnd.Intn(2) == 0 {
				settled := head.Settle(writer.WriteTS)
				if rnd.Intn(2) == 0 {
					c.PutVersion([]byte(k), ts(200), []byte("over"), false, &settled)
				} else {
					in := mvcc.Intent{Txn: api.TxnMeta{ID: ids.TxnID{8}, WriteTS: ts(200)}, SeqValue: mvcc.SeqValue{Seq: 1, Value: []byte("over")}}
					c.PutIntent([]byte(k), &in, &settled)
				}
			} else {
				c.Resolve([]byte(k), &head, &mvcc.Resolution{ID: writer.ID, Epoch: writer.Epoch, Status: api.Committed, TS: writer.WriteTS})
			}
			s.apply(&c)
		}
		// What was written over lies above every reader but those who lock.
		if after := readAll(t, s, ks, options); !lockless(before, after, options) {
			t.Fatalf("round %d: before\n%s\nafter\n%s", round, before, after)
		}
		if out, err := s.dump(); err != nil || bytes.Contains([]byte(out), []byte("size is")) {
			t.Fatalf("%v %s", err, out)
		}
	}
}

func lockless(before, after [][]string, options []*mvcc.ReadOptions) bool {
	for i, o := range options {
		if o.Lock {
			continue
		}
		if fmt.Sprint(before[i]) != fmt.Sprint(after[i]) {
			return false
		}
	}
	return true
}

func readAll(t *testing.T, s *script, ks []string, options []*mvcc.ReadOptions) (out [][]string) {
	var sc mvcc.Scratch
	for _, o := range options {
		var lines []string
		for _, k := range ks {
			row, err := mvcc.Get(s.eng, &sc, space, []byte(k), o)
			if err != nil {
				t.Fatal(err)
			}
			if row.Conflict != nil && !o.Lock {
				t.Fatalf("%q: the writer is known to have committed, yet in the way", k)
			}
			lines = append(lines, fmt.Sprintf("%q %v %q %s %s", k, row.Exists, row.Value, showTS(row.TS), showTS(row.Uncertain)))
		}
		for _, reverse := range []bool{false, true} {
			v := s.eng.View()
			scan := mvcc.NewScanner(v, space, nil, []byte("z"), reverse, nil, o)
			for scan.Next() {
				lines = append(lines, fmt.Sprintf("%q=%q at %s", scan.Key, scan.Value, showTS(scan.TS)))
			}
			lines = append(lines, "uncertain "+showTS(scan.Uncertain))
			if len(scan.Conflicts) > 0 && !o.Lock {
				t.Fatal("a scan met a conflict")
			}
			scan.Close()
			if !o.Lock && o.TS.Less(ts(200)) {
				changed, open, err := mvcc.ChangedSince(v, space, nil, []byte("z"), o.TS, o.Limit, o)
				if err != nil || len(open) > 0 {
					t.Fatal(err, open)
				}
				lines = append(lines, "changed "+showTS(changed))
			}
			v.Close()
		}
		out = append(out, lines)
	}
	return out
}
