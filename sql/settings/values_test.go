package settings

import (
	"math/rand/v2"
	"testing"
)

// TestRollback follows settings through transactions, savepoints and SET LOCAL.
func TestRollback(t *testing.T) {
	v := New()
	set := func(value string, local bool) {
		t.Helper()
		if err := v.Set("application_name", value, local); err != nil {
			t.Fatal(err)
		}
	}
	want := func(value string) {
		t.Helper()
		if got, _ := v.Get("application_name"); got != value {
			t.Fatalf("%q, want %q", got, value)
		}
	}
	set("start", false)
	v.Seal()
	before := v.Snapshot()
	set("a", false)
	set("b", true)
	savepoint := v.Snapshot()
	set("c", false)
	want("c")
	v.Restore(savepoint)
	want("b")
	v.EndLocal()
	want("a")
	set("d", true)
	if err := v.Reset("application_name", false); err != nil {
		t.Fatal(err)
	}
	v.EndLocal()
	want("start")
	set("e", true)
	set("f", false)
	v.Restore(before)
	v.EndLocal()
	want("start")
	set("g", false)
	v.ResetAll()
	want("start")
}

// TestSnapshots: no change shows in a snapshot that was taken before it.
func TestSnapshots(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	v := New()
	names := []string{"application_name", "x.a", "x.b"}
	type state struct {
		s    *Snapshot
		want [3]string
	}
	read := func() (out [3]string) {
		for i, n := range names {
			out[i], _ = v.Get(n)
		}
		return out
	}
	var states []state
	for range 5000 {
		switch r.IntN(8) {
		case 0:
			states = append(states, state{v.Snapshot(), read()})
		case 1:
			if n := len(states); n > 0 {
				s := states[r.IntN(n)]
				if v.Restore(s.s); read() != s.want {
					t.Fatalf("%v, want %v", read(), s.want)
				}
			}
		case 2:
			v.EndLocal()
		case 3:
			if err := v.Reset(names[r.IntN(3)], false); err != nil {
				t.Fatal(err)
			}
		default:
			if err := v.Set(names[r.IntN(3)], string(rune('a'+r.IntN(26))), r.IntN(3) == 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestLists(t *testing.T) {
	for s, want := range map[string]bool{"": true, "a": true, "a, b": true, `"a b", c`: true, `"a""b"`: true, "a b": false, "a,": false, `"a`: false, ",a": false, `a"b"`: false} {
		if validList(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}
