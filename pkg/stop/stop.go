package stop

import (
	"context"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// Group is a set of named goroutines with one end. The zero value is not
// usable; call New.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		stopped bool
		names   map[string]int
	}

	// Goroutines that have finished one function wait here for the next: their
	// stacks have grown already.
	next chan task
	idle atomic.Int32
}

type task struct {
	name string
	f    func(ctx context.Context)
}

// maxIdle is how many goroutines of a group wait for something to do.
const maxIdle = 16

// New returns a group whose context is derived from parent.
func New(parent context.Context) *Group {
	g := &Group{next: make(chan task)}
	g.ctx, g.cancel = context.WithCancel(parent)
	g.mu.names = map[string]int{}
	return g
}

// Context ends when the group stops.
func (g *Group) Context() context.Context { return g.ctx }

// Done is closed when the group begins to stop.
func (g *Group) Done() <-chan struct{} { return g.ctx.Done() }

// Go runs f in a goroutine and reports whether it was started: a stopped group
// starts nothing more.
func (g *Group) Go(name string, f func(ctx context.Context)) bool {
	g.mu.Lock()
	if g.mu.stopped {
		g.mu.Unlock()
		return false
	}
	g.mu.names[name]++
	g.wg.Add(1)
	g.mu.Unlock()
	t := task{name, f}
	select {
	case g.next <- t:
	default:
		g.wg.Add(1)
		go g.work(t)
	}
	return true
}

// work runs functions until there are none, and enough others wait for one.
func (g *Group) work(t task) {
	defer g.wg.Done()
	for {
		g.run(t)
		if g.idle.Add(1) > maxIdle {
			g.idle.Add(-1)
			return
		}
		select {
		case t = <-g.next:
			g.idle.Add(-1)
		case <-g.ctx.Done():
			return
		}
	}
}

func (g *Group) run(t task) {
	defer g.wg.Done()
	defer g.forget(t.name)
	t.f(g.ctx)
}

func (g *Group) forget(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.names[name]--; g.mu.names[name] == 0 {
		delete(g.mu.names, name)
	}
}

// Running lists the names of live goroutines, for a report on a stop that hangs.
func (g *Group) Running() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := make([]string, 0, len(g.mu.names))
	for n := range g.mu.names {
		names = append(names, n)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// Stop cancels the context and waits for every goroutine. It may be called more
// than once and from several goroutines, but not from one of the group's own.
func (g *Group) Stop() {
	g.mu.Lock()
	g.mu.stopped = true
	g.mu.Unlock()
	g.cancel()
	g.wg.Wait()
}
