package transport

import (
	"context"
	"errors"
	"log/slog"
	"math/rand"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// wire is a network of which the test is the other end.
type wire struct {
	rpc.Peers
	sent []frame
	down bool
}

func (w *wire) Send(_ ids.NodeID, _ rpc.Class, _ rpc.Method, b []byte) error {
	if w.down {
		return rpc.ErrUnreachable
	}
	f, err := decodeFrame(b)
	w.sent = append(w.sent, f)
	return err
}

func (w *wire) Call(context.Context, ids.NodeID, rpc.Class, rpc.Method, []byte) ([]byte, error) {
	return nil, nil
}
func (w *wire) Self() ids.NodeID                             { return 1 }
func (w *wire) Handle(rpc.Method, rpc.Handler)               {}
func (w *wire) HandleMessage(rpc.Method, rpc.MessageHandler) {}
func (w *wire) HandleStream(rpc.Method, rpc.StreamHandler)   {}
func (w *wire) OnPeerChange(func(ids.NodeID, bool))          {}

// leading is a group that leads.
type leading struct{ Group }

func (leading) Durable() uint64        { return 1 << 40 }
func (leading) IsLeader() bool         { return true }
func (leading) Voters() []ids.NodeID   { return nil }
func (leading) Leader() ids.NodeID     { return 1 }
func (leading) Leads(term uint64) bool { return true }

// withPipeline gives f a pipeline from node 1 to node 2, under virtual time.
func withPipeline(t *testing.T, f func(w *wire, tr *Transport, ep *Endpoint, p raft.AppendPipeline)) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		tr := New(Options{Peers: w, Logger: slog.New(slog.DiscardHandler)})
		defer tr.Close()
		ep, err := tr.Open(5, 1, 1, leading{})
		if err != nil {
			t.Fatal(err)
		}
		defer ep.Close()
		p, err := ep.AppendEntriesPipeline(raft.ServerID(ServerID(2, 2)), "")
		if err != nil {
			t.Fatal(err)
		}
		f(w, tr, ep, p)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		tr.callMu.Lock()
		defer tr.callMu.Unlock()
		if len(tr.calls) > 0 {
			t.Errorf("%d calls are left", len(tr.calls))
		}
	})
}

func appendOf(index uint64) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{Term: 3, PrevLogEntry: index - 1, Entries: []*raft.Log{{Index: index, Term: 3}}}
}

func mustAppend(t *testing.T, p raft.AppendPipeline, index uint64) {
	t.Helper()
	if _, err := p.AppendEntries(appendOf(index), &raft.AppendEntriesResponse{}); err != nil {
		t.Fatalf("append of %d: %v", index, err)
	}
}

func (tr *Transport) answer(f frame, body []byte, k kind) {
	tr.answered(&frame{kind: k, rng: f.rng, from: f.to, to: f.from, request: f.request, body: body})
}

func (tr *Transport) accept(f frame) {
	body, k := encodeAnswer(nil, &raft.AppendEntriesResponse{Term: 3, Success: true})
	tr.answer(f, body, k)
}

// handed is the next answer that Raft gets, or nil.
func handed(p raft.AppendPipeline) raft.AppendFuture {
	select {
	case f := <-p.Consumer():
		return f
	default:
		return nil
	}
}

// Whatever order answers come in, Raft gets them in the order of its appends.
func TestPipelineKeepsOrder(t *testing.T) {
	withPipeline(t, func(w *wire, tr *Transport, ep *Endpoint, p raft.AppendPipeline) {
		rnd := rand.New(rand.NewSource(1))
		next, taken := uint64(1), uint64(1)
		for range 2000 {
			switch {
			case len(w.sent) < pipelineDepth && rnd.Intn(2) == 0:
				mustAppend(t, p, next)
				next++
			case len(w.sent) > 0:
				i := rnd.Intn(len(w.sent))
				tr.accept(w.sent[i])
				w.sent = append(w.sent[:i], w.sent[i+1:]...)
			}
			for f := handed(p); f != nil; f = handed(p) {
				if f.Error() != nil || !f.Response().Success || f.Request().Entries[0].Index != taken {
					t.Fatalf("append %d: got %d, %+v, %v", taken, f.Request().Entries[0].Index, f.Response(), f.Error())
				}
				taken++
			}
		}
		if taken < 500 {
			t.Errorf("only %d were handed out", taken)
		}
		if a := ep.Acked(raft.ServerID(ServerID(2, 2)), 3); a.Index < taken-1 {
			t.Errorf("acknowledged up to %d of %d", a.Index, taken-1)
		}
	})
}

// An append that nobody answers fails after a while, and so does one that is
// refused or cannot be sent; those after it wait for it.
func TestPipelineFailures(t *testing.T) {
	withPipeline(t, func(w *wire, tr *Transport, _ *Endpoint, p raft.AppendPipeline) {
		expect := func(index uint64, want error) {
			t.Helper()
			f := handed(p)
			if f == nil {
				t.Fatalf("append %d was not handed out", index)
			}
			if f.Request().Entries[0].Index != index || !errors.Is(f.Error(), want) || f.Response().Success != (want == nil) {
				t.Errorf("append %d: got %d, %+v, %v", index, f.Request().Entries[0].Index, f.Response(), f.Error())
			}
		}
		// The timer that the first started serves the second, too.
		mustAppend(t, p, 1)
		time.Sleep(callTimeout / 2)
		mustAppend(t, p, 2)
		mustAppend(t, p, 3)
		tr.accept(w.sent[0])
		tr.accept(w.sent[2])
		expect(1, nil)
		time.Sleep(callTimeout * 3 / 4)
		if f := handed(p); f != nil {
			t.Fatalf("append 2 failed after three quarters of its time: %v", f.Error())
		}
		time.Sleep(callTimeout / 2)
		expect(2, errTimeout)
		expect(3, nil)
		tr.accept(w.sent[1]) // too late

		mustAppend(t, p, 4)
		tr.answer(w.sent[3], encodeRefusal(ErrStale), kindError)
		expect(4, ErrStale)
		// An answer of another kind is no answer.
		mustAppend(t, p, 5)
		body, k := encodeAnswer(nil, &raft.RequestVoteResponse{Term: 3, Granted: true})
		tr.answer(w.sent[4], body, k)
		expect(5, errMalformed)
		w.down = true
		mustAppend(t, p, 6)
		expect(6, rpc.ErrUnreachable)
	})
}

// Raft is not waited for without end, neither by the network nor by itself.
func TestPipelineIsBounded(t *testing.T) {
	withPipeline(t, func(w *wire, tr *Transport, ep *Endpoint, p raft.AppendPipeline) {
		for i := range uint64(pipelineDepth) {
			mustAppend(t, p, 1+i)
		}
		blocked := make(chan error, 1)
		go func() {
			_, err := p.AppendEntries(appendOf(100), &raft.AppendEntriesResponse{})
			blocked <- err
		}()
		synctest.Wait()
		if len(blocked) > 0 {
			t.Fatal("more than the depth are under way")
		}
		tr.accept(w.sent[0])
		if err := <-blocked; err != nil {
			t.Fatal(err)
		}
		// What Raft does not take ends the pipeline.
		for i := 1; i < len(w.sent); i++ {
			tr.accept(w.sent[i])
			if len(w.sent) < 2*pipelineBacklog {
				if _, err := p.AppendEntries(appendOf(uint64(100+i)), &raft.AppendEntriesResponse{}); errors.Is(err, raft.ErrPipelineShutdown) {
					return
				}
			}
		}
		t.Error("the backlog has no bound")
	})
}

// Closing fails what is under way, and wakes who waits for a slot.
func TestPipelineClose(t *testing.T) {
	for name, end := range map[string]func(*Endpoint, raft.AppendPipeline) error{
		"pipeline": func(_ *Endpoint, p raft.AppendPipeline) error { return p.Close() },
		"endpoint": func(ep *Endpoint, _ raft.AppendPipeline) error { return ep.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			withPipeline(t, func(_ *wire, _ *Transport, ep *Endpoint, p raft.AppendPipeline) {
				for i := range uint64(pipelineDepth) {
					mustAppend(t, p, 1+i)
				}
				blocked := make(chan error, 1)
				go func() {
					_, err := p.AppendEntries(appendOf(100), &raft.AppendEntriesResponse{})
					blocked <- err
				}()
				synctest.Wait()
				if err := end(ep, p); err != nil {
					t.Fatal(err)
				}
				<-blocked // with an error, or with an append that fails
				for range 2 {
					if _, err := p.AppendEntries(appendOf(200), &raft.AppendEntriesResponse{}); err != nil && !errors.Is(err, raft.ErrPipelineShutdown) {
						t.Error(err)
					}
				}
			})
		})
	}
}
