package catalog

import (
	"testing"
	"time"
)

func TestRoleExpired(t *testing.T) {
	now := time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)
	for until, want := range map[string]bool{"": false, "infinity": false, "-infinity": true, "2024-06-01 11:59:59+00": true, "2024-06-01 12:00:01+00": false,
		"2024-06-01 13:30:00+02": true, "nonsense": true} {
		if got := (&Role{ValidUntil: until}).Expired(now); got != want {
			t.Errorf("%q: expired %t", until, got)
		}
	}
}
