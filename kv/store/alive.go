package store

import (
	"context"
	"sync"
	"time"

	"github.com/pamirdb/pamir/pkg/ids"
	"github.com/pamirdb/pamir/pkg/rpc"
)

// Timing of pings.
const (
	pingAge     = 500 * time.Millisecond
	pingTimeout = 500 * time.Millisecond
)

// acquaintances is which nodes answer. It is asked rather than told: a node that
// nobody asks about costs nothing.
type acquaintances struct {
	mu    sync.Mutex
	nodes map[ids.NodeID]*acquaintance
}

type acquaintance struct {
	asked time.Time
	gone  bool
}

// Alive reports whether a node answered when it was last asked, which was not long
// ago if others were interested, too. It does not block: what nobody has asked
// about counts as alive, and is asked.
func (s *Store) Alive(n ids.NodeID) bool {
	if n == s.cfg.Node || s.cfg.Peers == nil {
		return true
	}
	now := time.Now()
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	a := s.known.nodes[n]
	if a == nil {
		a = &acquaintance{}
		s.known.nodes[n] = a
	}
	if now.Sub(a.asked) > pingAge {
		a.asked = now
		s.tasks.Go("ping", func(ctx context.Context) { s.ping(ctx, n) })
	}
	return !a.gone
}

func (s *Store) ping(ctx context.Context, n ids.NodeID) {
	err := s.ask(ctx, n)
	if ctx.Err() != nil {
		return
	}
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	s.known.nodes[n].gone = err != nil
}

// Silent asks all of nodes at once, and returns those that do not answer.
func (s *Store) Silent(ctx context.Context, nodes []ids.NodeID) []ids.NodeID {
	var wg sync.WaitGroup
	gone := make([]bool, len(nodes))
	for i, n := range nodes {
		if n != s.cfg.Node {
			wg.Go(func() { gone[i] = s.ask(ctx, n) != nil })
		}
	}
	wg.Wait()
	var silent []ids.NodeID
	for i, n := range nodes {
		if gone[i] {
			silent = append(silent, n)
		}
	}
	return silent
}

// ask waits for a sign of life.
func (s *Store) ask(ctx context.Context, n ids.NodeID) error {
	if s.cfg.Peers == nil {
		return errNoPeers
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	_, err := s.cfg.Peers.Call(ctx, n, rpc.Normal, rpc.MethodStore, encodeOp(opAlive, 0, 0))
	return err
}
