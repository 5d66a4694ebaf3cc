package clock

import (
	"container/heap"
	"time"
)

// Timer is a pending call, made by [Clock.AfterFunc].
type Timer struct {
	clock *Clock
	due   time.Time
	made  uint64 // orders timers of one time: first made, first called
	index int    // in the heap; -1 once taken away
	f     func()
}

// Stop takes the call back. It reports whether that was in time; if not, the
// call was made or is being made, and Stop does not wait for it.
func (t *Timer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.timers, t.index)
	return true
}

// timers is a heap, the earliest on top.
type timers []*Timer

func (h timers) Len() int { return len(h) }

func (h timers) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].made < h[j].made
	}
	return h[i].due.Before(h[j].due)
}

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timers) Push(x any) {
	t := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timers) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = -1
	return t
}
