package mvcc_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/mvcc"
	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/raftgroup/engine"
)

const space = keys.SpaceID(3)

// script runs mvcc scripts: begin, put, del, get, scan, rscan, resolve, gc, split,
// dump. Timestamps are plain numbers.
type script struct {
	eng         engine.Engine
	txns        map[string]*api.TxnMeta
	bytes, live int64
}

func newScript() *script {
	return &script{eng: engine.OpenMemory(), txns: map[string]*api.TxnMeta{}}
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "../../testdata/mvcc", func(t *testing.T, path string) {
		s := newScript()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out, err := s.run(d)
			if err != nil {
				return "error: " + err.Error() + "\n"
			}
			return out
		})
	})
}

func ts(n int64) hlc.Timestamp { return hlc.Timestamp{WallNanos: n} }

func showTS(t hlc.Timestamp) string { return strconv.FormatInt(t.WallNanos, 10) }

func name(id ids.TxnID) string { return strings.TrimRight(string(id[:]), "\x00") }

func (s *script) apply(c *mvcc.Changes) {
	var b engine.Batch
	for _, op := range c.Ops {
		k := keys.AppendEngineSuffix(nil, space, op.Key)
		switch {
		case op.End != nil:
			b.DeleteRange(k, keys.AppendEngineSuffix(nil, space, op.End))
		case op.Delete:
			b.Delete(k)
		default:
			b.Put(k, op.Value)
		}
	}
	s.eng.Write(&b)
	s.bytes += c.Bytes
	s.live += c.Keys
}

type args struct{ d *datadriven.TestData }

func (a args) str(key string) string {
	for _, x := range a.d.CmdArgs {
		if x.Key == key && len(x.Vals) > 0 {
			return x.Vals[0]
		}
	}
	return ""
}

func (a args) num(key string) int64 {
	n, _ := strconv.ParseInt(a.str(key), 10, 64)
	return n
}

func (s *script) options(a args) *mvcc.ReadOptions {
	o := &mvcc.ReadOptions{TS: ts(a.num("ts")), Limit: ts(a.num("limit")), Seq: api.Seq(a.num("seq")), Lock: a.d.HasArg("lock")}
	if m := s.txns[a.str("t")]; m != nil {
		o.ID, o.Epoch = m.ID, m.Epoch
		if o.TS.IsZero() {
			o.TS = m.ReadTS
		}
	}
	if i := a.str("ignored"); i != "" {
		from, to, _ := strings.Cut(i, "-")
		f, _ := strconv.Atoi(from)
		e, _ := strconv.Atoi(to)
		o.Ignored = []api.SeqInterval{{From: api.Seq(f), To: api.Seq(e)}}
	}
	return o
}

func (s *script) run(d *datadriven.TestData) (string, error) {
	a := args{d}
	var sc mvcc.Scratch
	var c mvcc.Changes
	key := []byte(a.str("k"))
	switch d.Cmd {
	case "begin":
		n := a.str("t")
		m := &api.TxnMeta{ReadTS: ts(a.num("ts")), WriteTS: ts(a.num("ts")), Epoch: int32(a.num("epoch"))}
		copy(m.ID[:], n)
		s.txns[n] = m
		return "", nil
	case "put", "del":
		head, err := mvcc.GetHead(s.eng, &sc, space, key)
		if err != nil {
			return "", err
		}
		m := s.txns[a.str("t")]
		if m == nil {
			c.PutVersion(key, ts(a.num("ts")), []byte(a.str("v")), d.Cmd == "del", &head)
			s.apply(&c)
			return "", nil
		}
		w := mvcc.SeqValue{Seq: api.Seq(a.num("seq")), Deleted: d.Cmd == "del", Value: []byte(a.str("v"))}
		in := mvcc.Intent{Txn: *m, SeqValue: w}
		if head.Intent != nil {
			if head.Intent.Txn.ID != m.ID {
				return "", errors.New("foreign intent")
			}
			in = head.Intent.Rewrite(m, w)
		}
		c.PutIntent(key, &in, &head)
		s.apply(&c)
		return "", nil
	case "get":
		row, err := mvcc.Get(s.eng, &sc, space, key, s.options(a))
		return showRow(&row), err
	case "scan", "rscan":
		return s.scan(a, d.Cmd == "rscan")
	case "resolve":
		head, err := mvcc.GetHead(s.eng, &sc, space, key)
		if err != nil {
			return "", err
		}
		m := s.txns[a.str("t")]
		r := &mvcc.Resolution{ID: m.ID, Epoch: m.Epoch, TS: ts(a.num("ts")), Mark: d.HasArg("mark"), Ignored: s.options(a).Ignored,
			Status: map[string]api.TxnStatus{"committed": api.Committed, "aborted": api.Aborted, "pending": api.Pending}[a.str("status")]}
		found := c.Resolve(key, &head, r)
		s.apply(&c)
		return fmt.Sprintf("found %v\n", found), nil
	case "gc":
		v := s.eng.View()
		defer v.Close()
		n, resume, err := c.CollectGarbage(v, space, nil, []byte("z"), ts(a.num("ts")), max(a.num("max"), 1))
		s.apply(&c)
		return fmt.Sprintf("removed %d, resume %q\n", n, resume), err
	case "split":
		v := s.eng.View()
		defer v.Close()
		k, err := mvcc.SplitKey(v, space, nil, []byte("z"))
		return fmt.Sprintf("split at %q\n", k), err
	case "dump":
		return s.dump()
	}
	return "", errors.New("unknown command")
}

func (s *script) dump() (string, error) {
	v := s.eng.View()
	defer v.Close()
	var sb strings.Builder
	if err := mvcc.Dump(&sb, v, space, nil, []byte("z"), name, showTS); err != nil {
		return "", err
	}
	size, live, err := mvcc.Size(v, space, nil, []byte("z"))
	if size != s.bytes || live != s.live {
		fmt.Fprintf(&sb, "size is %d and %d, counted %d and %d\n", size, live, s.bytes, s.live)
	}
	return sb.String(), err
}

func showRow(r *mvcc.Row) string {
	var sb strings.Builder
	switch {
	case r.Conflict != nil:
		fmt.Fprintf(&sb, "intent of %s at %s in the way", name(r.Conflict.Txn.ID), showTS(r.Conflict.Txn.WriteTS))
	case r.Exists:
		fmt.Fprintf(&sb, "%q at %s", r.Value, showTS(r.TS))
	default:
		sb.WriteString("none")
	}
	if r.Own {
		sb.WriteString(" own")
	}
	if !r.Newest.IsZero() {
		fmt.Fprintf(&sb, ", newest %s, base %s", showTS(r.Newest), showTS(r.Base()))
	}
	if !r.Uncertain.IsZero() {
		fmt.Fprintf(&sb, ", uncertain %s", showTS(r.Uncertain))
	}
	return sb.String() + "\n"
}

func (s *script) scan(a args, reverse bool) (string, error) {
	var carried []api.CarriedWrite
	for _, x := range a.d.CmdArgs {
		if x.Key == "carry" {
			for _, v := range x.Vals {
				k, val, ok := strings.Cut(v, ":")
				carried = append(carried, api.CarriedWrite{Key: []byte(k), Value: []byte(val), Deleted: !ok})
			}
		}
	}
	v := s.eng.View()
	defer v.Close()
	sc := mvcc.NewScanner(v, space, []byte(a.str("start")), []byte(a.str("end")), reverse, carried, s.options(a))
	defer sc.Close()
	var sb strings.Builder
	for sc.Next() {
		fmt.Fprintf(&sb, "%q=%q at %s, newest %s\n", sc.Key, sc.Value, showTS(sc.TS), showTS(sc.Newest))
	}
	for _, c := range sc.Conflicts {
		fmt.Fprintf(&sb, "conflict %q %s\n", c.Key, name(c.Intent.Txn.ID))
	}
	if !sc.Uncertain.IsZero() {
		fmt.Fprintf(&sb, "uncertain %s\n", showTS(sc.Uncertain))
	}
	return sb.String(), sc.Err()
}

// model is the naive store: every version of every key, and the intents.
type model struct {
	versions map[string][]modelVersion
	intents  map[string][]mvcc.SeqValue
}

type modelVersion struct {
	ts      int64
	value   string
	deleted bool
}

// TestScanAgainstModel compares scans and gets with a list of everything written,
// over keys that need escaping, prefixes of each other, and carried writes.
func TestScanAgainstModel(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	for round := 0; round < 60; round++ {
		s := newScript()
		m := model{map[string][]modelVersion{}, map[string][]mvcc.SeqValue{}}
		me := &api.TxnMeta{ID: ids.TxnID{1}, WriteTS: ts(50), ReadTS: ts(50)}
		ks := randomKeys(rnd)
		fill(rnd, s, &m, me, ks)
		for i := 0; i < 20; i++ {
			o := &mvcc.ReadOptions{TS: ts(int64(rnd.Intn(60))), ID: me.ID, Seq: api.Seq(rnd.Intn(7))}
			if rnd.Intn(3) == 0 {
				o.Ignored = []api.SeqInterval{{From: 2, To: api.Seq(2 + rnd.Intn(3))}}
			}
			compare(t, rnd, s, &m, ks, o)
		}
		if out, err := s.dump(); err != nil || strings.Contains(out, "size is") {
			t.Fatalf("%v %s", err, out)
		}
	}
}

func randomKeys(rnd *rand.Rand) []string {
	parts := []string{"a", "b", "\x00", "\x00\x01", "\xff", "ab", ""}
	set := map[string]bool{}
	for i := 0; i < 25; i++ {
		set["k"+parts[rnd.Intn(7)]+parts[rnd.Intn(7)]+parts[rnd.Intn(7)]] = true
	}
	var out []string
	for k := range set {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func fill(rnd *rand.Rand, s *script, m *model, me *api.TxnMeta, ks []string) {
	var sc mvcc.Scratch
	for _, k := range ks {
		for at, n := int64(0), rnd.Intn(6); n > 0; n-- {
			at += int64(1 + rnd.Intn(15))
			v := modelVersion{at, fmt.Sprint(k, at), rnd.Intn(3) == 0}
			head, _ := mvcc.GetHead(s.eng, &sc, space, []byte(k))
			var c mvcc.Changes
			c.PutVersion([]byte(k), ts(at), []byte(v.value), v.deleted, &head)
			s.apply(&c)
			m.versions[k] = append(m.versions[k], v)
		}
		if rnd.Intn(3) != 0 {
			continue
		}
		for seq := 1; seq <= 1+rnd.Intn(5); seq++ {
			w := mvcc.SeqValue{Seq: api.Seq(seq), Deleted: rnd.Intn(3) == 0, Value: []byte(fmt.Sprint(k, "#", seq))}
			head, _ := mvcc.GetHead(s.eng, &sc, space, []byte(k))
			in := mvcc.Intent{Txn: *me, SeqValue: w}
			if head.Intent != nil {
				in = head.Intent.Rewrite(me, w)
			}
			var c mvcc.Changes
			c.PutIntent([]byte(k), &in, &head)
			s.apply(&c)
			m.intents[k] = append(m.intents[k], w)
		}
	}
}

// visible is what the model says of a key.
func (m *model) visible(k string, o *mvcc.ReadOptions) (string, bool) {
	ws := m.intents[k]
	for i := len(ws) - 1; i >= 0; i-- {
		ignored := len(o.Ignored) > 0 && o.Ignored[0].From <= ws[i].Seq && ws[i].Seq <= o.Ignored[0].To
		if !ignored && (o.Seq == 0 || ws[i].Seq <= o.Seq) {
			return string(ws[i].Value), !ws[i].Deleted
		}
	}
	vs := m.versions[k]
	for i := len(vs) - 1; i >= 0; i-- {
		if vs[i].ts <= o.TS.WallNanos {
			return vs[i].value, !vs[i].deleted
		}
	}
	return "", false
}

func compare(t *testing.T, rnd *rand.Rand, s *script, m *model, ks []string, o *mvcc.ReadOptions) {
	t.Helper()
	lo, hi := ks[rnd.Intn(len(ks))], ks[rnd.Intn(len(ks))]+"\x00"
	if lo > hi {
		lo, hi = hi, lo
	}
	var carried []api.CarriedWrite
	own := map[string]*api.CarriedWrite{}
	for _, k := range append([]string{"k", "kz"}, ks...) {
		if rnd.Intn(6) == 0 && own[k] == nil {
			own[k] = &api.CarriedWrite{Key: []byte(k), Value: []byte("carried"), Deleted: rnd.Intn(2) == 0}
		}
	}
	for _, c := range own {
		carried = append(carried, *c)
	}
	sort.Slice(carried, func(i, j int) bool { return bytes.Compare(carried[i].Key, carried[j].Key) < 0 })
	all := map[string]bool{}
	for _, k := range ks {
		all[k] = true
	}
	for k := range own {
		all[k] = true
	}
	var want []string
	for k := range all {
		v, ok := m.visible(k, o)
		if c := own[k]; c != nil {
			v, ok = string(c.Value), !c.Deleted
		} else {
			var sc mvcc.Scratch
			row, err := mvcc.Get(s.eng, &sc, space, []byte(k), o)
			if err != nil || row.Exists != ok || ok && string(row.Value) != v {
				t.Fatalf("get %q at %s: %q %v (%v), want %q %v", k, showTS(o.TS), row.Value, row.Exists, err, v, ok)
			}
		}
		if ok && lo <= k && k < hi {
			want = append(want, fmt.Sprintf("%q=%q", k, v))
		}
	}
	sort.Slice(want, func(i, j int) bool { return unquote(want[i]) < unquote(want[j]) })
	v := s.eng.View()
	defer v.Close()
	for _, reverse := range []bool{false, true} {
		sc := mvcc.NewScanner(v, space, []byte(lo), []byte(hi), reverse, carried, o)
		var got []string
		for sc.Next() {
			got = append(got, fmt.Sprintf("%q=%q", sc.Key, sc.Value))
		}
		sc.Close()
		if reverse {
			for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
				got[i], got[j] = got[j], got[i]
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || sc.Err() != nil {
			t.Fatalf("scan [%q, %q) reverse=%v at %s seq %d:\n%v\nwant\n%v (%v)", lo, hi, reverse, showTS(o.TS), o.Seq, got, want, sc.Err())
		}
	}
}

func unquote(row string) string {
	k, _ := strconv.QuotedPrefix(row)
	k, _ = strconv.Unquote(k)
	return k
}

func FuzzDecode(f *testing.F) {
	in := mvcc.Intent{Txn: api.TxnMeta{ID: ids.TxnID{1}, Anchor: []byte("a"), WriteTS: ts(3)},
		SeqValue: mvcc.SeqValue{Seq: 2, Value: []byte("v")}, History: []mvcc.SeqValue{{Seq: 1, Deleted: true}}}
	f.Add(in.Encode(nil))
	f.Add(mvcc.EncodeRecord(nil, &api.TxnRecord{TxnMeta: in.Txn, Status: api.Staging,
		Locks: []api.Span{{Start: []byte("a")}, {Start: []byte("b"), End: []byte("c")}}, InFlight: []api.InFlightWrite{{Key: []byte("k"), Seq: 4}}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if in, err := mvcc.DecodeIntent(raw); err == nil {
			again, err := mvcc.DecodeIntent(in.Encode(nil))
			if err != nil || fmt.Sprint(again) != fmt.Sprint(in) {
				t.Fatalf("%v: %v, %v", err, again, in)
			}
		}
		if r, err := mvcc.DecodeRecord(raw); err == nil {
			again, err := mvcc.DecodeRecord(mvcc.EncodeRecord(nil, r))
			if err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
				t.Fatalf("%v: %v, %v", err, again, r)
			}
		}
	})
}
