package route

import (
	"context"
	"errors"
	"testing"

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
