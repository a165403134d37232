package session

import (
	"context"
	"strings"
	"testing"

	"github.com/pamirdb/pamir/kv/kvtest"
)

// A role reads its own statements of pg_stat_activity; a superuser reads
// all of them, but for passwords.
func TestStatementsOfOthersAreHidden(t *testing.T) {
	h := newHarness(t, kvtest.Options{})
	ctx := context.Background()
	as := func(user string) *Session {
		s, err := New(ctx, h.srv, 0, Options{User: user, Database: "defaultdb"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	ask := func(s *Session, sql string) string {
		t.Helper()
		w := &textWriter{}
		if err := s.Exec(ctx, sql, w); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return w.out.String()
	}
	root := as("root")
	ask(root, "CREATE USER bob PASSWORD 'geheim'; CREATE USER eve SUPERUSER")
	bob := as("bob")
	ask(bob, "SELECT 'bobs own'")
	query := "SELECT usename, state, query FROM pg_stat_activity"
	seen := ask(bob, query)
	if !strings.Contains(seen, "FROM pg_stat_activity") || !strings.Contains(seen, "root|NULL|<insufficient privilege>") {
		t.Errorf("bob sees %s", seen)
	}
	ask(bob, "SELECT 'bobs own'")
	for _, s := range []*Session{root, as("eve")} {
		if seen := ask(s, query); !strings.Contains(seen, "bobs own") {
			t.Errorf("%s sees %s", s.opts.User, seen)
		}
	}
	ask(root, "ALTER USER bob PASSWORD 'geheim'")
	if seen := ask(as("eve"), query); strings.Contains(seen, "geheim") || !strings.Contains(seen, "PASSWORD '***'") {
		t.Errorf("a password is shown: %s", seen)
	}
}

func TestWithoutPasswords(t *testing.T) {
	for in, want := range map[string]string{
		"CREATE USER a PASSWORD 'geheim'":                                    "CREATE USER a PASSWORD '***'",
		"alter role a with encrypted password\n'ge''heim' login":             "alter role a with encrypted password\n'***' login",
		"CREATE USER a PASSWORD E'ge\\'heim' CREATEDB":                       "CREATE USER a PASSWORD '***' CREATEDB",
		"CREATE USER a PASSWORD $$geheim$$; SELECT 1":                        "CREATE USER a PASSWORD '***'",
		"CREATE USER a PASSWORD 'geheim; SELECT 1":                           "CREATE USER a PASSWORD '***'",
		"ALTER USER a PASSWORD NULL":                                         "ALTER USER a PASSWORD NULL",
		"SELECT password, 'x' FROM t WHERE password = 'y'":                   "SELECT password, 'x' FROM t WHERE password = 'y'",
		"CREATE USER a PASSWORD 'geheim'; CREATE USER b PASSWORD u&'geheim'": "CREATE USER a PASSWORD '***'; CREATE USER b PASSWORD '***'",
	} {
		if got := withoutPasswords(in); got != want || strings.Contains(got, "geheim") {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}
