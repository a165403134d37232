package mvcc_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/mvcc"
)

// Whatever order writes come in, and however often, the intent ends up the same.
func TestRewriteInAnyOrder(t *testing.T) {
	me := &api.TxnMeta{Epoch: 1}
	write := func(seq api.Seq) mvcc.SeqValue {
		return mvcc.SeqValue{Seq: seq, Value: []byte{byte(seq)}, Deleted: seq == 2}
	}
	want := mvcc.Intent{Txn: *me, SeqValue: write(4), History: []mvcc.SeqValue{write(1), write(2), write(3)}}
	var permute func(done, left []api.Seq)
	permute = func(done, left []api.Seq) {
		if len(left) == 0 {
			for _, again := range done {
				in := mvcc.Intent{Txn: *me, SeqValue: write(done[0])}
				for _, seq := range append(slices.Clone(done[1:]), again) {
					in = in.Rewrite(me, write(seq))
				}
				if !reflect.DeepEqual(in, want) {
					t.Errorf("order %v, then %d: %+v", done, again, in)
				}
			}
			return
		}
		for i, seq := range left {
			permute(append(slices.Clone(done), seq), slices.Delete(slices.Clone(left), i, i+1))
		}
	}
	permute(nil, []api.Seq{1, 2, 3, 4})
	newer := *me
	newer.Epoch++
	if in := want.Rewrite(&newer, write(2)); in.Seq != 2 || in.History != nil {
		t.Errorf("a new epoch keeps %+v", in)
	}
}
