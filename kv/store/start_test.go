package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/hlc"
)

// TestAskedBeforeStart sends what the network may bring while a node is still
// opening its groups: the sender must hear that the range is not here.
func TestAskedBeforeStart(t *testing.T) {
	s := New(Config{Node: 1, Clock: hlc.NewClock(nil, time.Second)})
	var gone *api.RangeNotFoundError
	if _, err := s.Send(context.Background(), &api.BatchRequest{Header: api.Header{RangeID: 1}}); !errors.As(err, &gone) {
		t.Fatalf("a store that has not started answers %v", err)
	}
	if n, leases := s.Counts(); n != 0 || leases != 0 {
		t.Fatalf("a store that has not started counts %d replicas and %d leases", n, leases)
	}
}
