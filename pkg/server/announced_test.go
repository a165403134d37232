package server

import (
	"net"
	"testing"
)

// TestAnnounced: what listens everywhere is announced by a name or an address
// that means this machine elsewhere, too, and what listens at a name by that.
func TestAnnounced(t *testing.T) {
	for _, same := range []string{"", "127.0.0.1:5", "[::1]:5"} {
		if got := announced(same, same); got != same {
			t.Errorf("%s became %s", same, got)
		}
	}
	for given, want := range map[string]string{"db1:0": "db1:5", "127.0.0.1:0": "10.0.0.1:5", ":0": "10.0.0.1:5"} {
		if got := announced(given, "10.0.0.1:5"); got != want {
			t.Errorf("%s is announced as %s", given, got)
		}
	}
	for _, all := range []string{"[::]:26258", "0.0.0.0:26258"} {
		for _, given := range []string{all, ":26258"} {
			host, port, err := net.SplitHostPort(announced(given, all))
			if ip := net.ParseIP(host); err != nil || port != "26258" || host == "" || ip != nil && ip.IsUnspecified() {
				t.Errorf("%s became %s:%s, %v", all, host, port, err)
			}
		}
	}
}
