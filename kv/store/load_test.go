package store

import (
	"testing"
	"time"
)

// The first look gives the rate since the start; later ones are smoothed, and none
// depends on how soon it follows another.
func TestLoadRates(t *testing.T) {
	near := func(got, want float64) bool { return got > want*0.99 && got < want*1.01 }
	l := &load{at: time.Now().Add(-10 * time.Second)}
	l.reads.Add(1000)
	l.writes.Add(100)
	if r, w := l.rates(); !near(r, 100) || !near(w, 10) {
		t.Errorf("first look: %v, %v", r, w)
	}
	l.reads.Add(1000)
	if r, _ := l.rates(); !near(r, 100) {
		t.Errorf("a look at once after it: %v", r)
	}
	l.at = l.at.Add(-5 * time.Second)
	if r, w := l.rates(); !near(r, 150) || !near(w, 5) {
		t.Errorf("five seconds later: %v, %v", r, w)
	}
}
