package server

import (
	"net"
	"testing"
)

// TestReachable: what listens everywhere is announced by a name or an address
// that means this machine elsewhere, too.
func TestReachable(t *testing.T) {
	for _, same := range []string{"", "127.0.0.1:5", "[::1]:5", "db1:26258"} {
		if got := reachable(same); got != same {
			t.Errorf("%s became %s", same, got)
		}
	}
	for _, all := range []string{"[::]:26258", "0.0.0.0:26258"} {
		host, port, err := net.SplitHostPort(reachable(all))
		if ip := net.ParseIP(host); err != nil || port != "26258" || host == "" || ip != nil && ip.IsUnspecified() {
			t.Errorf("%s became %s:%s, %v", all, host, port, err)
		}
	}
}
