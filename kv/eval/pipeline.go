package eval

import (
	"runtime"
	"sync"

	"github.com/pamirdb/pamir/kv/api"
)

// A long scan has two halves of about the same work: finding the visible rows, and
// running the program over them. Once it has proved to be long they run side by
// side, a block apart: a second goroutine, which the scan awaits before it returns,
// reads ahead into blocks of its own.
const (
	serialBlocks = 4 // full blocks after which a scan is long
	aheadBlocks  = 2 // blocks that are read ahead at most
)

// readAhead is the goroutine's side. It alone touches the scanner until it has
// ended; the bytes of the rows belong to the view, which outlives it.
type readAhead struct {
	full, free chan *aheadBlock
	quit       chan struct{}
	done       sync.WaitGroup
}

// aheadBlock is a block with the memory of its keys.
type aheadBlock struct {
	scanBlock
	arena []byte
	bytes int64
	// stop says that something is in the way, which ends the scan: the scanner, which
	// is not used any more, knows what.
	stop bool
}

// mayReadAhead reports whether the scan may go on with a goroutine that reads: not
// where rows are locked one by one, nor where few are wanted.
func (s *scanRun) mayReadAhead() bool {
	return s.run != nil && s.r.Lock == api.LockNone && s.r.Wait != api.WaitSkip && s.o.MaxRows == 0 && runtime.GOMAXPROCS(0) > 1
}

// blocksAhead is blocks for the rest of a long scan.
func (s *scanRun) blocksAhead() error {
	a := &readAhead{full: make(chan *aheadBlock, aheadBlocks), free: make(chan *aheadBlock, aheadBlocks+1), quit: make(chan struct{})}
	for range aheadBlocks + 1 {
		a.free <- &aheadBlock{}
	}
	own := s.sc.SwapArena(nil)
	a.done.Go(func() { s.fill(a) })
	defer func() {
		close(a.quit)
		a.done.Wait()
		s.sc.SwapArena(own)
	}()
	for b := range a.full {
		if b.stop {
			if err := s.sc.Err(); err != nil {
				return err
			}
			return s.inTheWay()
		}
		s.bytes += b.bytes
		if len(b.keys) == 0 {
			return nil
		}
		last := len(b.keys) < maxBlock
		if err := s.block(&b.scanBlock); err != nil || last || s.full {
			return err
		}
		if s.o.MaxBytes > 0 && s.bytes >= s.o.MaxBytes {
			s.stopAfter(b.keys[len(b.keys)-1])
			return nil
		}
		a.free <- b
	}
	return nil
}

// fill reads blocks until the span ends, something is in the way, or nobody wants
// more.
func (s *scanRun) fill(a *readAhead) {
	defer close(a.full)
	for {
		var b *aheadBlock
		select {
		case b = <-a.free:
		case <-a.quit:
			return
		}
		b.clear()
		b.bytes = 0
		s.sc.SwapArena(b.arena[:0])
		for len(b.keys) < maxBlock && s.sc.Next() {
			b.bytes += int64(len(s.sc.Key) + len(s.sc.Value))
			b.keys, b.values = append(b.keys, s.sc.Key), append(b.values, s.sc.Value)
		}
		b.arena = s.sc.SwapArena(nil)
		b.stop = s.sc.Err() != nil || len(s.sc.Conflicts) > 0 || !s.sc.Uncertain.IsZero()
		last := len(b.keys) < maxBlock || b.stop
		select {
		case a.full <- b:
		case <-a.quit:
			return
		}
		if last {
			return
		}
	}
}
