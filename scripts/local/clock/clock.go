// Package clock is the time that the local pipeline lives in: the wall clock
// plus an offset that can jump forward. Queues, schedules and overdue checks
// take their time from it, so a test runs days in seconds.
package clock

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Clock tells the time and wakes those who wait for it. Its methods may be
// called by any goroutine. Make one with [New].
type Clock struct {
	// firing is held while callbacks run, so that Advance returns only when
	// whatever was due has been done, by whichever goroutine.
	firing sync.Mutex

	mu     sync.Mutex
	offset time.Duration
	timers timers
	made   uint64
	alarm  *time.Timer // goes off when the earliest timer is due by the wall clock
}

// New returns a clock that shows wall-clock time until it is advanced.
func New() *Clock { return &Clock{} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

// Advance moves the clock forward by d and returns when every callback that
// became due has run. The clock jumps: callbacks run in order of their times,
// but all of them see the new time. To visit each timer at its own time,
// advance to [Clock.Next] again and again. A d of zero or less moves nothing.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	c.offset += max(d, 0)
	c.mu.Unlock()
	c.fire()
}

// Next returns the time of the earliest pending timer, and whether there is
// one.
func (c *Clock) Next() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return time.Time{}, false
	}
	return c.timers[0].due, true
}

// AfterFunc calls f once the clock has moved on by d: from the goroutine that
// advances the clock, or from one of its own when the wall clock gets there.
// Callbacks run one at a time, in order of their times: f must be quick and
// must not call [Clock.Advance].
func (c *Clock) AfterFunc(d time.Duration, f func()) *Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made++
	t := &Timer{clock: c, due: c.now().Add(d), made: c.made, f: f}
	heap.Push(&c.timers, t)
	if t.index == 0 {
		c.arm()
	}
	return t
}

// Sleep waits until the clock has moved on by d. It returns early with ctx's
// cause when ctx ends.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	done := make(chan struct{})
	defer c.AfterFunc(d, func() { close(done) }).Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Clock) now() time.Time { return time.Now().Add(c.offset) }

// fire runs what is due.
func (c *Clock) fire() {
	c.firing.Lock()
	defer c.firing.Unlock()
	for t := c.takeDue(); t != nil; t = c.takeDue() {
		t.f()
	}
}

// takeDue takes the earliest timer away if it is due; else it sets the alarm.
func (c *Clock) takeDue() *Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return nil
	}
	if c.timers[0].due.After(c.now()) {
		c.arm()
		return nil
	}
	return heap.Pop(&c.timers).(*Timer)
}

// arm sets the alarm to the earliest timer. An alarm that goes off for nothing,
// because its timer was stopped, does no harm.
func (c *Clock) arm() {
	wait := c.timers[0].due.Sub(c.now())
	if c.alarm == nil {
		c.alarm = time.AfterFunc(wait, c.fire)
		return
	}
	c.alarm.Reset(wait)
}
