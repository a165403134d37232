package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
)

type testNode struct {
	*Node
	l net.Listener
}

// newPair starts two nodes on loopback that know each other.
func newPair(t *testing.T) (a, b testNode) {
	t.Helper()
	var mu sync.Mutex
	addrs := map[ids.NodeID]string{}
	start := func(id ids.NodeID) testNode {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		addrs[id] = l.Addr().String()
		mu.Unlock()
		n := NewNode(context.Background(), Options{Resolve: func(id ids.NodeID) (string, bool) {
			mu.Lock()
			defer mu.Unlock()
			s, ok := addrs[id]
			return s, ok
		}})
		n.SetIdentity(id, "c")
		return testNode{n, l}
	}
	a, b = start(1), start(2)
	for _, n := range []testNode{a, b} {
		go func() { _ = n.Serve(n.l) }()
		t.Cleanup(func() { n.l.Close(); n.Close() })
	}
	return a, b
}

func TestCallSendStream(t *testing.T) {
	a, b := newPair(t)
	b.Handle(MethodBatch, func(_ context.Context, from ids.NodeID, p []byte) ([]byte, error) {
		if len(p) == 0 {
			return nil, errors.New("empty")
		}
		return fmt.Appendf(nil, "%s:%s", from, p), nil
	})
	got := make(chan string, 2000)
	b.HandleMessage(MethodRaft, func(_ ids.NodeID, p []byte) { got <- string(p) })
	b.HandleStream(MethodSnapshot, func(_ context.Context, _ ids.NodeID, h []byte, r io.Reader) ([]byte, error) {
		n, err := io.Copy(io.Discard, r)
		return fmt.Appendf(nil, "%s %d", h, n), err
	})
	ctx := context.Background()
	if r, err := a.Call(ctx, 2, Normal, MethodBatch, []byte("x")); err != nil || string(r) != "n1:x" {
		t.Fatalf("call: %q %v", r, err)
	}
	var re *RemoteError
	if _, err := a.Call(ctx, 2, Normal, MethodBatch, nil); !errors.As(err, &re) || re.Message != "empty" {
		t.Fatalf("remote error: %v", err)
	}
	// A node that is starting does not serve everything yet.
	var unsent *NotSentError
	if _, err := a.Call(ctx, 2, Normal, MethodPing, nil); !errors.As(err, &unsent) || !errors.Is(err, ErrUnreachable) {
		t.Fatalf("a method without a handler: %v", err)
	}
	for i := range 1000 {
		if err := a.Send(2, Normal, MethodRaft, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		if s := <-got; s != fmt.Sprint(i) {
			t.Fatalf("message %d arrived as %s", i, s)
		}
	}
	r, err := a.Stream(ctx, 2, MethodSnapshot, []byte("h"), bytes.NewReader(make([]byte, 3<<20)))
	if err != nil || string(r) != fmt.Sprintf("h %d", 3<<20) {
		t.Fatalf("stream: %q %v", r, err)
	}
}

func TestCallSurvivesCancelAndPeerLoss(t *testing.T) {
	a, b := newPair(t)
	entered, left := make(chan struct{}), make(chan struct{})
	b.Handle(MethodBatch, func(ctx context.Context, _ ids.NodeID, _ []byte) ([]byte, error) {
		entered <- struct{}{}
		<-ctx.Done()
		left <- struct{}{}
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-entered; cancel() }()
	if _, err := a.Call(ctx, 2, Normal, MethodBatch, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("want canceled, got %v", err)
	}
	<-left // the cancellation reached the handler
	down := make(chan ids.NodeID, 1)
	a.OnPeerChange(func(id ids.NodeID, up bool) {
		if !up {
			down <- id
		}
	})
	go func() { <-entered; b.l.Close(); go b.Close(); <-left }()
	if _, err := a.Call(context.Background(), 2, Normal, MethodBatch, nil); !errors.Is(err, ErrUnreachable) {
		t.Fatalf("want unreachable, got %v", err)
	}
	select {
	case id := <-down:
		if id != 2 {
			t.Fatalf("%s reported down", id)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the refused peer was not reported")
	}
}

func TestOtherClusterIsRefused(t *testing.T) {
	a, b := newPair(t)
	b.SetIdentity(2, "other")
	_, err := a.Call(context.Background(), 2, Normal, MethodBatch, nil)
	var ns *NotSentError
	if !errors.As(err, &ns) {
		t.Fatalf("want NotSentError, got %v", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(appendFrame(nil, frame{kind: frameRequest, method: 3, id: 9, payload: []byte("p")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			fr, err := readFrame(r, 1<<20)
			if err != nil {
				return
			}
			if again, err := readFrame(bytes.NewReader(appendFrame(nil, fr)), 1<<20); err != nil || !bytes.Equal(again.payload, fr.payload) {
				t.Fatal("frame does not survive a round trip")
			}
		}
	})
}
