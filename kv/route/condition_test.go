package route

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv/api"
)

// TestFirstCondition reports the violated condition that comes first in the
// batch, and lets the parts go on that may still find an earlier one.
func TestFirstCondition(t *testing.T) {
	parts := []*part{{from: []int{1, 5}}, {from: []int{0, 2}}, {from: []int{3, 4}}, {from: []int{6}}}
	canceled := make([]bool, len(parts))
	cancels := make([]context.CancelFunc, len(parts))
	for i := range cancels {
		cancels[i] = func() { canceled[i] = true }
	}
	parts[2].err = &api.ConditionFailedError{Index: 3}
	endOthers(parts, cancels, 2)
	if want := [4]bool{false, false, false, true}; [4]bool(canceled) != want {
		t.Errorf("a condition ended the parts %v, want %v", canceled, want)
	}
	parts[0].err = &api.ConditionFailedError{Index: 1}
	parts[3].err = context.Canceled
	var c *api.ConditionFailedError
	if err := firstError(parts); !errors.As(err, &c) || c.Index != 1 {
		t.Errorf("the answer is %v, want the condition of request 1", err)
	}
	parts[0].err = errors.New("lost")
	endOthers(parts, cancels, 0)
	if want := [4]bool{false, true, true, true}; [4]bool(canceled) != want {
		t.Errorf("a failure ended the parts %v, want all others", canceled)
	}
}

// senderFunc is a node's ranges.
type senderFunc func(context.Context, *api.BatchRequest) (*api.BatchResponse, error)

func (f senderFunc) Send(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
	return f(ctx, ba)
}

// The second part of three fails first. It ends the third, which does not end the
// first in turn: that finds a row for an earlier request.
func TestEndedPartEndsNobody(t *testing.T) {
	w, rs := newWorld(t, 1)
	w.split("\x05")
	w.split("\x06")
	inTheWay := &api.ConditionFailedError{}
	rs[0].cfg.Local = senderFunc(func(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
		switch ba.Requests[0].Key[0] {
		case 4:
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
				return nil, inTheWay
			}
		case 5:
			return nil, inTheWay
		default:
			<-ctx.Done()
		}
		return nil, ctx.Err()
	})
	_, err := rs[0].Send(t.Context(), gets("\x04", "\x05", "\x06"))
	var c *api.ConditionFailedError
	if !errors.As(err, &c) || c.Index != 0 {
		t.Errorf("%v, want the condition of the first request", err)
	}
}

// A write that another part's failure ended may have happened or not. What the
// sender hears is why the batch failed.
func TestEndedPartIsNotTheReason(t *testing.T) {
	w, rs := newWorld(t, 1)
	w.split("\x05")
	began := make(chan struct{})
	why := &api.RetryError{Reason: api.ReasonPushed}
	rs[0].cfg.Local = senderFunc(func(ctx context.Context, ba *api.BatchRequest) (*api.BatchResponse, error) {
		if ba.Requests[0].Key[0] == 5 {
			<-began
			return nil, why
		}
		close(began)
		<-ctx.Done()
		return nil, &api.AmbiguousError{Cause: ctx.Err().Error()}
	})
	var retry *api.RetryError
	if _, err := rs[0].Send(t.Context(), gets("\x04", "\x05")); !errors.As(err, &retry) {
		t.Errorf("%v, want a retry", err)
	}
	// The sender's own end leaves the doubt.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	rs[0].cfg.Local = senderFunc(func(ctx context.Context, _ *api.BatchRequest) (*api.BatchResponse, error) {
		<-ctx.Done()
		return nil, &api.AmbiguousError{Cause: ctx.Err().Error()}
	})
	var ambiguous *api.AmbiguousError
	if _, err := rs[0].Send(ctx, gets("\x04", "\x05")); !errors.As(err, &ambiguous) {
		t.Errorf("%v, want doubt", err)
	}
}
