package kvtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/kvtest"
)

// oddRows is an evaluator that keeps rows whose value ends in an odd digit. Its
// only program is "odd".
type oddRows struct{}

type oddRun struct {
	max  int64
	rows oddResult
}

type oddResult []string

func (oddRows) Open(program []byte, maxRows int64) (api.ScanRun, error) {
	if string(program) != "odd" {
		return nil, api.ErrUnknownProgram
	}
	return &oddRun{max: maxRows}, nil
}

func (r *oddRun) Block(ks, values [][]byte, pass []int32) (int, []int32, error) {
	for i, v := range values {
		if r.max > 0 && int64(len(r.rows)) == r.max {
			return i, pass, nil
		}
		if v[len(v)-1]%2 == 1 {
			r.rows = append(r.rows, string(v))
			pass = append(pass, int32(i))
		}
	}
	return len(ks), pass, nil
}

func (r *oddRun) Finish() (api.ScanResult, error) { return r.rows, nil }

func (r oddResult) Encode(dst []byte) []byte {
	b, err := json.Marshal([]string(r))
	if err != nil {
		panic(err)
	}
	return append(dst, b...)
}

func (r oddResult) Size() (rows, size int64) { return int64(len(r)), int64(8 * len(r)) }

// collect returns the rows of an answer as its sender's evaluator would.
func collect(t *testing.T, r *api.Response) (out []string) {
	t.Helper()
	for i := range r.Parts {
		out = append(out, collect(t, &r.Parts[i])...)
	}
	switch {
	case r.Result != nil:
		out = append(out, r.Result.(oddResult)...)
	case r.Encoded != nil:
		var l []string
		must(t, json.Unmarshal(r.Encoded, &l))
		out = append(out, l...)
	default:
		for _, kv := range r.KVs {
			if !r.Raw {
				t.Fatal("rows that no program saw")
			}
			if kv.Value[len(kv.Value)-1]%2 == 1 {
				out = append(out, string(kv.Value))
			}
		}
	}
	return out
}

func TestProgramsOverRanges(t *testing.T) {
	ctx := context.Background()
	for name, o := range shapes() {
		for _, program := range []string{"odd", "of another version"} {
			t.Run(name+" "+program, func(t *testing.T) {
				o.Evaluator = oddRows{}
				c := kvtest.NewCluster(o)
				defer c.Close()
				tx := begin(t, c.Node(1), kv.TxnOptions{})
				for i := range 60 {
					put(t, tx, i, "%d", i)
				}
				must(t, tx.Commit(ctx))
				tx = begin(t, c.Node(1), kv.TxnOptions{})
				put(t, tx, 13, "%d", 130)
				put(t, tx, 14, "%d", 141)
				for _, limit := range []int64{0, 1, 7} {
					for _, lock := range []api.LockStrength{api.LockNone, api.LockExclusive} {
						programScan(t, tx, program, limit, lock)
					}
				}
				must(t, tx.Rollback(ctx))
			})
		}
	}
}

func programScan(t *testing.T, tx kv.Txn, program string, limit int64, lock api.LockStrength) {
	t.Helper()
	var want, got []string
	for i := 5; i < 45; i++ {
		switch {
		case i == 14:
			want = append(want, "141")
		case i%2 == 1 && i != 13:
			want = append(want, fmt.Sprint(i))
		}
	}
	o := &api.ScanOptions{Program: []byte(program), MaxRows: limit}
	for start, end := key(5), key(45); start != nil && bytes.Compare(start, end) < 0; {
		b := &kv.Batch{Requests: []api.Request{{Kind: api.Scan, Key: start, End: end, Scan: o, Lock: lock}}}
		must(t, tx.Send(context.Background(), b))
		rows := collect(t, &b.Responses[0])
		if limit > 0 && int64(len(rows)) > limit {
			t.Fatalf("%d rows, limit %d", len(rows), limit)
		}
		got = append(got, rows...)
		start = b.Responses[0].Resume
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("limit %d:\n got %v\nwant %v", limit, got, want)
	}
}
