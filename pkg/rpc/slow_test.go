package rpc

import (
	"context"
	"errors"
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
		caller, cn := slowNode(t)
		answer, err := caller.callOver(t.Context(), cn, MethodAdmin, nil)
		if err != nil || string(answer) != "done" {
			t.Errorf("%q, %v", answer, err)
		}
	})
}

// TestCloseEndsCalls: a node that closes does not wait for the answer to a call by
// address.
func TestCloseEndsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller, cn := slowNode(t)
		failed := make(chan error, 1)
		go func() {
			_, err := caller.callOver(t.Context(), cn, MethodAdmin, nil)
			failed <- err
		}()
		synctest.Wait() // for the answer
		began := time.Now()
		caller.Close()
		if d := time.Since(began); d != 0 {
			t.Errorf("closing took %s", d)
		}
		if err := <-failed; !errors.Is(err, ErrUnreachable) {
			t.Errorf("the call: %v", err)
		}
	})
}

// slowNode returns a node that calls, and a connection to one that takes its time
// to answer; both close with the test.
func slowNode(t *testing.T) (caller *Node, cn *conn) {
	slow := NewNode(t.Context(), Options{})
	t.Cleanup(slow.Close)
	slow.Handle(MethodAdmin, func(ctx context.Context, _ ids.NodeID, _ []byte) ([]byte, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(3 * silentFor):
			return []byte("done"), nil
		}
	})
	caller = NewNode(t.Context(), Options{})
	t.Cleanup(caller.Close)
	near, far := net.Pipe()
	go slow.serveConn(t.Context(), newConn(far))
	cn = newConn(near)
	if _, err := cn.handshake(t.Context(), caller.hello(Normal), true); err != nil {
		t.Fatal(err)
	}
	return caller, cn
}
