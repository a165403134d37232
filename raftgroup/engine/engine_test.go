package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

var ctx = context.Background()

// quiet never flushes by itself, so that a test decides when.
var quiet = Options{FlushInterval: time.Hour}

func mustOpen(t testing.TB, dir string, o Options) Engine {
	t.Helper()
	e, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func mustClose(t testing.TB, e Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// model is the map that both engines must agree with.
type model map[string]string

func (m model) apply(b *Batch) {
	for _, op := range b.Ops() {
		switch {
		case op.End != nil:
			for k := range m {
				if k >= string(op.Key) && k < string(op.End) {
					delete(m, k)
				}
			}
		case op.Delete:
			delete(m, string(op.Key))
		default:
			m[string(op.Key)] = string(op.Value)
		}
	}
}

func (m model) keys(lower, upper string) []string {
	var out []string
	for k := range m {
		if k >= lower && k < upper {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

func (m model) clone() model {
	c := model{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

func key(n int) []byte { return []byte(fmt.Sprintf("k%03d", n)) }

func randomBatch(r *rand.Rand, step int) *Batch {
	b := &Batch{}
	for i := r.Intn(12); i >= 0; i-- {
		switch n := r.Intn(300); {
		case r.Intn(12) == 0:
			b.DeleteRange(key(n), key(n+r.Intn(60)))
		case r.Intn(4) == 0:
			b.Delete(key(n))
		case r.Intn(15) == 0: // more tombstones in a row than a seek passes over at once
			for j := range 3 * maxDead {
				b.Delete(key(n + j))
			}
		case r.Intn(20) == 0:
			b.Put(key(n), nil)
		default:
			b.Put(key(n), []byte(fmt.Sprintf("v%d.%d", step, i)))
		}
	}
	return b
}

// sayFresh makes some puts of keys that are not there say so.
func (m model) sayFresh(b *Batch, r *rand.Rand) *Batch {
	now := m.clone()
	for i := range b.ops {
		op := &b.ops[i]
		if _, there := now[string(op.Key)]; !there && !op.Delete {
			op.Fresh = r.Intn(4) > 0
		}
		now.apply(&Batch{ops: b.ops[i : i+1]})
	}
	return b
}

func checkReader(t *testing.T, name string, rd Reader, m model, r *rand.Rand) {
	t.Helper()
	for i := 0; i < 20; i++ {
		k := key(r.Intn(310))
		v, ok := rd.Get(k)
		want, wok := m[string(k)]
		if ok != wok || string(v) != want {
			t.Fatalf("%s: Get(%s) = %q, %v; want %q, %v", name, k, v, ok, want, wok)
		}
		up := key(r.Intn(310))
		gk, gv, ok := rd.SeekGE(k, up)
		ks := m.keys(string(k), string(up))
		if ok != (len(ks) > 0) || ok && (string(gk) != ks[0] || string(gv) != m[ks[0]]) {
			t.Fatalf("%s: SeekGE(%s, %s) = %q, %q, %v; want %v", name, k, up, gk, gv, ok, ks)
		}
	}
}

// checkIter walks at random and compares each position with the sorted keys.
func checkIter(t *testing.T, name string, v View, m model, r *rand.Rand) {
	t.Helper()
	lower, upper := key(r.Intn(150)), key(150+r.Intn(160))
	ks := m.keys(string(lower), string(upper))
	it := v.Iter(lower, upper)
	defer it.Close()
	at := -1
	for i := 0; i < 60; i++ {
		var ok bool
		var what string
		switch op := r.Intn(8); {
		case op == 0:
			what, ok, at = "First", it.First(), 0
		case op == 1:
			what, ok, at = "Last", it.Last(), len(ks)-1
		case op == 2 || at < 0 || at >= len(ks):
			k := key(r.Intn(310))
			what, ok = "SeekGE "+string(k), it.SeekGE(k)
			at = sort.SearchStrings(ks, string(k))
		case op == 3:
			k := key(r.Intn(310))
			what, ok = "SeekLT "+string(k), it.SeekLT(k)
			at = sort.SearchStrings(ks, string(k)) - 1
		case op < 6:
			what, ok = "Next", it.Next()
			at++
		default:
			what, ok = "Prev", it.Prev()
			at--
		}
		if want := at >= 0 && at < len(ks); ok != want || it.Valid() != want {
			t.Fatalf("%s: %s: ok=%v, want position %d of %d", name, what, ok, at, len(ks))
		}
		if ok && (string(it.Key()) != ks[at] || string(it.Value()) != m[ks[at]]) {
			t.Fatalf("%s: %s: at %s=%q, want %s=%q", name, what, it.Key(), it.Value(), ks[at], m[ks[at]])
		}
	}
}

func TestEnginesAgreeWithModel(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	dir := t.TempDir()
	file, mem := mustOpen(t, dir, quiet), OpenMemory()
	defer func() { mustClose(t, file) }()
	m := model{}
	for step := 0; step < 1500; step++ {
		b := m.sayFresh(randomBatch(r, step), r)
		file.Write(b)
		mem.Write(b)
		m.apply(b)
		switch {
		case step%97 == 96:
			mustClose(t, file)
			file = mustOpen(t, dir, quiet)
		case step%13 == 12:
			if err := file.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		case step%29 == 28:
			freezeOnly(t, file, mem, m, r)
		}
		if step%3 != 0 {
			continue
		}
		for name, e := range map[string]Engine{"file": file, "memory": mem} {
			checkReader(t, name, e, m, r)
			v := e.View()
			checkReader(t, name+" view", v, m, r)
			checkIter(t, name, v, m, r)
			v.Close()
		}
	}
}

// freezeOnly checks the picture in the middle of a flush, with writes on top of
// the frozen layer, and then finishes the flush.
func freezeOnly(t *testing.T, e, twin Engine, m model, r *rand.Rand) {
	t.Helper()
	s := e.(*store)
	frozen, seq := s.freeze()
	if frozen == nil {
		return
	}
	for i := 0; i < 5; i++ {
		v, old := e.View(), m.clone()
		b := m.sayFresh(randomBatch(r, i), r)
		e.Write(b)
		twin.Write(b)
		m.apply(b)
		checkReader(t, "frozen", e, m, r)
		checkIter(t, "frozen old view", v, old, r)
		v.Close()
		v = e.View()
		checkReader(t, "frozen view", v, m, r)
		checkIter(t, "frozen view", v, m, r)
		v.Close()
	}
	endFlush(t, s, frozen, seq)
}

func endFlush(t *testing.T, s *store, frozen *layer, seq Seq) {
	t.Helper()
	if err := s.db.Update(func(tx *bolt.Tx) error { return writeLayer(tx, frozen) }); err != nil {
		t.Fatal(err)
	}
	next, err := newBase(s.db, &s.bases)
	if err != nil {
		t.Fatal(err)
	}
	s.publish(next, seq)
}

func TestViewIsImmutableAcrossFlush(t *testing.T) {
	e := mustOpen(t, t.TempDir(), quiet)
	defer mustClose(t, e)
	b := &Batch{}
	b.Put([]byte("a"), []byte("1"))
	e.Write(b)
	v := e.View()
	b = &Batch{}
	b.Put([]byte("a"), []byte("2"))
	e.Write(b)
	if err := e.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if got, _ := v.Get([]byte("a")); string(got) != "1" {
		t.Fatalf("old view reads %q", got)
	}
	v.Close()
	if got, _ := e.Get([]byte("a")); string(got) != "2" {
		t.Fatalf("engine reads %q", got)
	}
	d := e.DurableView()
	defer d.Close()
	if got, _ := d.Get([]byte("a")); string(got) != "2" || d.Seq() != 2 {
		t.Fatalf("durable view reads %q at %d", got, d.Seq())
	}
}

// TestFileHoldsAPrefixOfBatches copies the file while batches are written and
// flushed, as a crash would leave it. Batch n sets every key to n, so any mixture
// of batches shows.
func TestFileHoldsAPrefixOfBatches(t *testing.T) {
	dir := t.TempDir()
	e := mustOpen(t, dir, Options{FlushBytes: 20 << 10, FlushInterval: time.Hour})
	defer mustClose(t, e)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for n := 1; ; n++ {
			b := &Batch{}
			for i := 0; i < 40; i++ {
				b.Put(key(i), []byte(fmt.Sprint(n)))
			}
			if n%7 == 0 {
				b.DeleteRange(key(40), key(80))
			} else {
				b.Put(key(40+n%40), []byte(fmt.Sprint(n)))
			}
			e.Write(b)
			if e.WaitRoom(ctx) != nil {
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	for i := 0; i < 15; i++ {
		before := e.FlushedSeq()
		if err := e.WaitFlushed(ctx, before+1); err != nil {
			t.Fatal(err)
		}
		before = e.FlushedSeq()
		checkCopy(t, dir, before)
	}
	close(done)
	wg.Wait()
}

func checkCopy(t *testing.T, dir string, atLeast Seq) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, FileName), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Open(other, quiet)
	if err != nil {
		// A copy taken in the middle of a commit may tear a meta page that a real
		// crash would have left whole; bbolt then falls back to the other one.
		t.Fatal(err)
	}
	defer mustClose(t, c)
	first, ok := c.Get(key(0))
	if !ok {
		t.Fatal("flushed batch is missing")
	}
	for i := 1; i < 40; i++ {
		if v, _ := c.Get(key(i)); !bytes.Equal(v, first) {
			t.Fatalf("key 0 is from batch %s, key %d from %s", first, i, v)
		}
	}
	var n Seq
	fmt.Sscan(string(first), &n)
	if n < atLeast {
		t.Fatalf("file is at batch %d, flushed was %d", n, atLeast)
	}
}

func TestLockedAndOtherVersions(t *testing.T) {
	dir := t.TempDir()
	e := mustOpen(t, dir, quiet)
	start := time.Now()
	if _, err := Open(dir, quiet); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	if d := time.Since(start); d > time.Second {
		t.Fatalf("took %v to find the lock taken", d)
	}
	mustClose(t, e)
	for format, want := range map[byte]error{FormatVersion - 1: ErrOlderVersion, FormatVersion + 1: ErrNewerVersion} {
		db, err := bolt.Open(filepath.Join(dir, FileName), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket(metaBucket).Put(formatKey, []byte{0, 0, 0, 0, 0, 0, 0, format})
		}); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, quiet); !errors.Is(err, want) {
			t.Fatalf("format %d: %v", format, err)
		}
	}
}

func TestWriteErrorIsFatal(t *testing.T) {
	var got error
	o := quiet
	o.Fatal = func(err error) { got = err }
	e := mustOpen(t, t.TempDir(), o)
	s := e.(*store)
	// A key that Write refuses makes bbolt refuse the whole transaction.
	s.mu.Lock()
	s.pic.active.tree.Set(item{key: make([]byte, MaxKeyBytes+1), value: noBytes})
	s.written++
	s.mu.Unlock()
	s.flush()
	if got == nil {
		t.Fatal("the flush error was swallowed")
	}
}

func TestWaitRoomBoundsTheOverlay(t *testing.T) {
	e := mustOpen(t, t.TempDir(), Options{FlushKeys: 100, MaxKeys: 300, FlushInterval: time.Hour})
	defer mustClose(t, e)
	for i := 0; i < 5000; i++ {
		b := &Batch{}
		b.Put([]byte(fmt.Sprintf("%06d", i)), []byte("v"))
		e.Write(b)
		if err := e.WaitRoom(ctx); err != nil {
			t.Fatal(err)
		}
		if n := e.Stats().OverlayKeys; n > 700 {
			t.Fatalf("overlay holds %d keys", n)
		}
	}
}

// TestConcurrentReaders is for the race detector: readers share one bbolt
// transaction while flushes replace it. Each batch moves an amount between two
// keys of an account pair, so a torn picture changes the sum.
func TestConcurrentReaders(t *testing.T) {
	e := mustOpen(t, t.TempDir(), Options{FlushBytes: 4 << 10, FlushInterval: time.Hour})
	defer mustClose(t, e)
	b := &Batch{}
	b.Put([]byte("a"), []byte{100})
	b.Put([]byte("b"), []byte{100})
	e.Write(b)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			for {
				select {
				case <-done:
					return
				default:
				}
				v := e.View()
				it := v.Iter([]byte("a"), []byte("c"))
				sum, n := 0, 0
				for ok := it.First(); ok; ok = it.Next() {
					sum += int(it.Value()[0])
					n++
				}
				it.Close()
				v.Close()
				if sum != 200 || n != 2 {
					t.Errorf("sum %d over %d keys", sum, n)
					return
				}
				if k, _, ok := e.SeekGE([]byte("a0"), []byte("c")); !ok || string(k) != "b" {
					t.Errorf("SeekGE found %q", k)
					return
				}
			}
		}(i)
	}
	for n := 0; n < 4000; n++ {
		b := &Batch{}
		x := byte(n % 100)
		b.Put([]byte("a"), []byte{100 - x})
		b.Put([]byte("b"), []byte{100 + x})
		b.Put([]byte(fmt.Sprintf("z%d", n)), []byte("filler"))
		e.Write(b)
		if n%500 == 0 {
			if err := e.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(done)
	wg.Wait()
}

func fill(tb testing.TB, e Engine, n int) {
	b := &Batch{}
	for i := 0; i < n; i++ {
		b.Put([]byte(fmt.Sprintf("key%08d", i)), bytes.Repeat([]byte("v"), 90))
		if b.Len() == 1000 {
			e.Write(b)
			b = &Batch{}
			if err := e.WaitRoom(ctx); err != nil {
				tb.Fatal(err)
			}
		}
	}
	e.Write(b)
	if err := e.Flush(ctx); err != nil {
		tb.Fatal(err)
	}
}

func benchSeek(b *testing.B, e Engine, n int) {
	r := rand.New(rand.NewSource(1))
	keys := make([][]byte, 4096)
	ends := make([][]byte, 4096)
	for i := range keys {
		keys[i] = []byte(fmt.Sprintf("key%08d", r.Intn(n)))
		ends[i] = append(bytes.Clone(keys[i]), 1)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if _, _, ok := e.SeekGE(keys[i&4095], ends[i&4095]); !ok {
			b.Fatal("missing")
		}
	}
}

func BenchmarkSeekGEFile(b *testing.B) {
	e := mustOpen(b, b.TempDir(), Options{})
	defer mustClose(b, e)
	fill(b, e, 500_000)
	benchSeek(b, e, 500_000)
}

func BenchmarkSeekGEOverlay(b *testing.B) {
	e := OpenMemory()
	fill(b, e, 500_000)
	benchSeek(b, e, 500_000)
}

// rowKey is like kv's keys: a space, a table and its index, a row's number, a version.
func rowKey(b []byte, row int, version uint64) []byte {
	b = append(b, 1, 0, 0, 0, 1, 2, 0xf5, 0xf6, 104, 0xf6, 1, 0xf8, byte(row>>16), byte(row>>8), byte(row), 0, 1)
	b = binary.BigEndian.AppendUint64(b, ^version)
	return binary.BigEndian.AppendUint32(b, 0)
}

func BenchmarkOverlayRows(b *testing.B) {
	e := OpenMemory()
	r := rand.New(rand.NewSource(1))
	val := make([]byte, 100)
	write := func(n int) {
		bt := &Batch{}
		for range n {
			bt.Put(rowKey(nil, r.Intn(1e6), uint64(r.Int63())), val)
		}
		e.Write(bt)
	}
	for range 1000 {
		write(100)
	}
	b.Run("Write", func(b *testing.B) {
		for range b.N {
			write(4)
		}
	})
	b.Run("Newest", func(b *testing.B) {
		var lower, upper []byte
		for range b.N {
			row := r.Intn(1e6)
			lower, upper = rowKey(lower[:0], row, 1<<63), rowKey(upper[:0], row+1, 1<<63)
			e.Newest(lower, upper)
		}
	})
}

func BenchmarkWriteSmallBatch(b *testing.B) {
	e := mustOpen(b, b.TempDir(), Options{FlushInterval: time.Hour, FlushKeys: 1 << 40, FlushBytes: 1 << 50, MaxBytes: 1 << 50, MaxKeys: 1 << 40})
	r := rand.New(rand.NewSource(1))
	val := bytes.Repeat([]byte("v"), 100)
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		bt := &Batch{}
		for j := 0; j < 4; j++ {
			bt.Put([]byte(fmt.Sprintf("key%08d", r.Intn(1e6))), val)
		}
		e.Write(bt)
	}
}

func BenchmarkFlushRandom(b *testing.B) {
	e := mustOpen(b, b.TempDir(), Options{})
	defer mustClose(b, e)
	fill(b, e, 300_000)
	r := rand.New(rand.NewSource(1))
	val := bytes.Repeat([]byte("v"), 100)
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		bt := &Batch{}
		for j := 0; j < 100; j++ {
			bt.Put([]byte(fmt.Sprintf("key%08d.%d", r.Intn(300_000), i)), val)
		}
		e.Write(bt)
		if err := e.WaitRoom(ctx); err != nil {
			b.Fatal(err)
		}
	}
	if err := e.Flush(ctx); err != nil {
		b.Fatal(err)
	}
}

// TestItemOrder compares the order of items with that of their keys.
func TestItemOrder(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	random := func() []byte {
		k := make([]byte, 1+r.Intn(itemHead+4))
		for i := range k {
			k[i] = "\x00\x00\x00a\xff"[r.Intn(5)]
		}
		return k
	}
	for range 200_000 {
		a := random()
		b := append(bytes.Clone(a), make([]byte, r.Intn(itemHead))...)
		if r.Intn(2) == 0 {
			b = random()
		}
		if itemLess(at(a), at(b)) != (bytes.Compare(a, b) < 0) || itemLess(at(b), at(a)) != (bytes.Compare(b, a) < 0) {
			t.Fatalf("%q and %q have another order as items", a, b)
		}
	}
}

// TestNewest writes rows as kv/mvcc does, each version below the ones before, and
// compares Newest with a model.
func TestNewest(t *testing.T) {
	for _, name := range []string{"memory", "file"} {
		t.Run(name, func(t *testing.T) {
			e := OpenMemory()
			if name == "file" {
				e = mustOpen(t, t.TempDir(), quiet)
			}
			defer mustClose(t, e)
			r := rand.New(rand.NewSource(7))
			m := model{}
			next := map[int]int{}
			var frozen *layer
			var seq Seq
			at := func(row, version int) []byte { return fmt.Appendf(nil, "row%d.%06d", row, 999_999-version) }
			for step := range 5000 {
				b := &Batch{}
				for range 1 + r.Intn(4) {
					row := r.Intn(8)
					switch n := next[row]; {
					case r.Intn(3) > 0:
						next[row]++
						b.PutFresh(at(row, n), fmt.Appendf(nil, "v%d", step))
					case r.Intn(20) == 0:
						b.DeleteRange(at(row, n), at(row+1, 999_999))
					case n > 0:
						b.Delete(at(row, n-1-r.Intn(min(n, 6))))
					}
				}
				m.apply(b)
				e.Write(b)
				if name == "file" && r.Intn(10) == 0 {
					flushInTwo(t, e.(*store), &frozen, &seq)
				}
				row := r.Intn(8)
				lower, upper := at(row, max(0, next[row]-r.Intn(8))), at(row+1, 999_999)
				ks := m.keys(string(lower), string(upper))
				v := e.View()
				for _, rd := range []Reader{e, v} {
					k, val, ok := rd.Newest(lower, upper)
					if ok != (len(ks) > 0) || ok && (string(k) != ks[0] || string(val) != m[ks[0]]) {
						t.Fatalf("step %d: Newest(%s, %s) = %q, %q, %v; want %v", step, lower, upper, k, val, ok, ks)
					}
				}
				v.Close()
			}
			if frozen != nil {
				flushInTwo(t, e.(*store), &frozen, &seq)
			}
		})
	}
}

// flushInTwo freezes the active layer, or ends the flush that it began.
func flushInTwo(t *testing.T, s *store, frozen **layer, seq *Seq) {
	t.Helper()
	if *frozen == nil {
		*frozen, *seq = s.freeze()
		return
	}
	endFlush(t, s, *frozen, *seq)
	*frozen = nil
}
