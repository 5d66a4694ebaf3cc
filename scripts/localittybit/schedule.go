package localittybit

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// schedule calls functions when the clock has got to their time. One goroutine
// serves any number of them.
type schedule struct {
	clock Clock
	wake  chan struct{} // there is a new earliest entry

	mu      sync.Mutex
	entries entries
	made    uint64
}

func newSchedule(clock Clock) *schedule {
	return &schedule{clock: clock, wake: make(chan struct{}, 1)}
}

// after has f called when the clock has moved on by d. f must be quick.
func (s *schedule) after(d time.Duration, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	e := &entry{due: s.clock.Now().Add(d), made: s.made, f: f}
	heap.Push(&s.entries, e)
	if s.entries[0] != e {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// run serves the schedule until ctx ends.
func (s *schedule) run(ctx context.Context) {
	for ctx.Err() == nil {
		due, wait, pending := s.take()
		if due != nil {
			due.f()
			continue
		}
		var alarm <-chan time.Time
		if pending {
			alarm = s.clock.After(wait)
		}
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-alarm:
		}
	}
}

// take takes the earliest entry away if it is due; else it says how long to wait.
func (s *schedule) take() (due *entry, wait time.Duration, pending bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.entries) == 0 {
		return nil, 0, false
	}
	if wait := s.entries[0].due.Sub(s.clock.Now()); wait > 0 {
		return nil, wait, true
	}
	return heap.Pop(&s.entries).(*entry), 0, true
}

type entry struct {
	due  time.Time
	made uint64 // first made, first called, of those with one time
	f    func()
}

// entries is a heap, the earliest on top.
type entries []*entry

func (h entries) Len() int { return len(h) }

func (h entries) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].made < h[j].made
	}
	return h[i].due.Before(h[j].due)
}

func (h entries) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *entries) Push(x any)   { *h = append(*h, x.(*entry)) }

func (h *entries) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
