package session

import (
	"context"
	"strings"
	"testing"

	"github.com/pamirdb/pamir/kv/kvtest"
	"github.com/pamirdb/pamir/sql/types"
)

// What a client asks for as it connects makes it nobody whom SET would not.
func TestStartIdentity(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	h.expect("CREATE ROLE a LOGIN; CREATE ROLE b; CREATE ROLE c; GRANT b TO a", "CREATE ROLE\nCREATE ROLE\nCREATE ROLE\nGRANT ROLE")
	for _, c := range []struct{ user, settings, want string }{
		{"a", "", "a|a|off"},
		{"a", "role=b", "a|b|off"},
		{"a", "ROLE=root", "ERROR 42501"},
		{"a", "role=c", "ERROR 42501"},
		{"a", "role=none", "a|a|off"},
		{"a", "role=nobody", "ERROR 22023"},
		{"a", "session_authorization=root", "ERROR 42501"},
		{"a", "session_authorization=a role=b", "a|b|off"},
		{"a", "is_superuser=on", "ERROR 55P02"},
		{"root", "", "root|root|on"},
		{"root", "session_authorization=a", "a|a|off"},
		{"root", "session_authorization=a role=b", "a|b|off"},
		{"root", "session_authorization=a role=c", "ERROR 42501"},
	} {
		o := Options{User: c.user, Database: "defaultdb", Settings: map[string]string{}}
		for _, f := range strings.Fields(c.settings) {
			name, value, _ := strings.Cut(f, "=")
			o.Settings[name] = value
		}
		s, err := New(context.Background(), h.srv, 0, o)
		if err != nil {
			if got := "ERROR " + types.CodeOf(err); got != c.want {
				t.Errorf("%s, %s: %v, want %s", c.user, c.settings, err, c.want)
			}
			continue
		}
		told := ""
		s.Parameters(func(name, value string) {
			if name == "is_superuser" {
				told = value
			}
		})
		got := h.run(s, "SELECT session_user, current_user, current_setting('is_superuser')")
		if want := c.want + "\nSELECT 1"; strings.TrimSpace(got) != want || !strings.HasSuffix(c.want, told) {
			t.Errorf("%s, %s: %s, told %s; want %s", c.user, c.settings, got, told, c.want)
		}
		s.Close()
	}
}
