package rpc

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
)

// An address that is wrong is explained in words.
func TestWrongAddresses(t *testing.T) {
	// talker answers each connection with bytes of its own.
	talker := func(says string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte(says)) // the caller may have gone
				if says != "" {
					_ = c.Close()
				} else {
					t.Cleanup(func() { c.Close() })
				}
			}
		}()
		return l.Addr().String()
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	n := NewNode(t.Context(), Options{Resolve: func(ids.NodeID) (string, bool) { return "", false }})
	defer n.Close()
	for addr, want := range map[string]string{
		closed.Addr().String():                         "connection refused: nothing listens there",
		"nowhere.invalid:26258":                        `"nowhere.invalid"`,
		talker("HTTP/1.1 400 Bad Request\r\n\r\n"):     "does not speak Pamir's node protocol",
		talker("\x15\x03\x01\x00\x02\x02\x0a"):         "or a secure node's",
		talker("N"):                                    "does not speak Pamir's node protocol",
		talker(""):                                     "does not speak Pamir's node protocol",
		talker("\x0a\x00\x00\x00\x7f\x00aaaaaaaa"):     "does not speak Pamir's node protocol",
		talker("\x0e\x00\x00\x00\x04\x00aaaaaaaabusy"): "busy",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := n.CallAddr(ctx, addr, MethodInit, nil)
		cancel()
		var wrong *AddrError
		if !errors.As(err, &wrong) || !errors.Is(err, ErrUnreachable) || wrong.Addr != addr || !strings.Contains(wrong.Reason, want) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
	}
}
