package logstore

import "testing"

// TestCommitterExpects checks that a write waits for those alone who said, when
// the one before ended, that they bring entries.
func TestCommitterExpects(t *testing.T) {
	writing, end := make(chan struct{}), make(chan struct{})
	c := &committer{store: func([]op) error { writing <- struct{}{}; <-end; return nil }}
	if c.later(func() bool { t.Error("called, though nobody writes"); return true }) {
		t.Error("an idle committer has somebody wait")
	}
	done := make(chan error)
	go func() { done <- c.do([]op{{}}) }()
	<-writing
	for _, brings := range []bool{false, true, false} {
		if !c.later(func() bool { return brings }) {
			t.Error("nobody waits for a write under way")
		}
	}
	end <- struct{}{}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expected != 1 {
		t.Errorf("%d are expected, though one brings entries", c.expected)
	}
}
