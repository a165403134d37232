package catalog

import (
	"math"
	"time"

	"github.com/pamirdb/pamir/sql/types"
)

// Expires tells when the role's password stops being good, in the microseconds
// of a timestamptz; ok is false if it never does.
func (r *Role) Expires() (at int64, ok bool) {
	if r.ValidUntil == "" {
		return 0, false
	}
	d, err := types.ParseText(types.TimestampTZType, r.ValidUntil, types.DefaultSettings())
	if err != nil {
		return math.MinInt64, true // what cannot be read must not let anybody in
	}
	return d.Int(), true
}

// Expired reports whether the role's password is no longer good.
func (r *Role) Expired(now time.Time) bool {
	at, ok := r.Expires()
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	return ok && at < now.Sub(epoch).Microseconds()
}
