package rpc

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
)

// TestSlowAnswer: a call by address may take longer than a connection may be
// silent; draining a node does.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := NewNode(t.Context(), Options{})
		defer slow.Close()
		slow.Handle(MethodAdmin, func(ctx context.Context, _ ids.NodeID, _ []byte) ([]byte, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(3 * silentFor):
				return []byte("done"), nil
			}
		})
		caller := NewNode(t.Context(), Options{})
		defer caller.Close()
		near, far := net.Pipe()
		go slow.serveConn(t.Context(), newConn(far))
		cn := newConn(near)
		if _, err := cn.handshake(t.Context(), caller.hello(Normal), true); err != nil {
			t.Fatal(err)
		}
		answer, err := caller.callOver(t.Context(), cn, MethodAdmin, nil)
		if err != nil || string(answer) != "done" {
			t.Errorf("%q, %v", answer, err)
		}
	})
}
