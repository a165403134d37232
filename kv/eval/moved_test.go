package eval_test

import (
	"context"
	"errors"
	"testing"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/kv/eval"
	"github.com/pamirdb/pamir/pkg/hlc"
)

// splitting splits right after somebody has looked at its lease for the first time.
type splitting struct {
	*testRange
	at  api.Key
	now *api.RangeDescriptor
}

func (s *splitting) CheckLease(ts hlc.Timestamp) (api.Lease, error) {
	lease, err := s.testRange.CheckLease(ts)
	if s.now == nil {
		left := *s.testRange.desc
		left.End = s.at
		left.Generation++
		s.now = &left
	}
	return lease, err
}

func (s *splitting) Desc() *api.RangeDescriptor {
	if s.now != nil {
		return s.now
	}
	return s.testRange.Desc()
}

// A read without a latch whose key a split takes away, between the read's look at
// the range and its note of the read, is sent to where the key is now: the right
// half has not heard of the note.
func TestReadMeetsSplit(t *testing.T) {
	for key, stays := range map[string]bool{"a": true, "m": false, "z": false} {
		c := newCluster(nil)
		r := &splitting{testRange: c.ranges[0], at: api.Key("m")}
		_, err := eval.Execute(context.Background(), r, r.m, &api.BatchRequest{Requests: []api.Request{{Kind: api.Get, Key: api.Key(key)}}})
		var mismatch *api.RangeMismatchError
		if stays && err != nil || !stays && !errors.As(err, &mismatch) {
			t.Errorf("%s: %v", key, err)
		}
		c.close()
	}
}
