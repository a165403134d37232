package session

import (
	"testing"
	"time"

	"github.com/pamirdb/pamir/kv/kvtest"
)

// A node that is alone gives out every value, however long it pauses between two.
func TestSequenceWithoutGaps(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.run(h.s, "CREATE SEQUENCE q")
	h.expect("SELECT nextval('q')", "1\nSELECT 1\n")
	for _, b := range h.s.srv.seqs.blocks {
		b.expires = time.Now().Add(-time.Hour)
	}
	h.expect("SELECT nextval('q')", "2\nSELECT 1\n")
	h.expect("SELECT last_value, is_called FROM q", "2|t\nSELECT 1\n")
}
