package clock_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/scripts/local/clock"
)

func TestClockFollowsTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		if got := c.Now(); !got.Equal(time.Now()) {
			t.Errorf("a new clock shows %v, want the wall clock's %v", got, time.Now())
		}
		start := c.Now()
		rang := make(chan time.Time, 1)
		c.AfterFunc(time.Minute, func() { rang <- c.Now() })
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		if len(rang) != 0 {
			t.Fatal("the timer went off early")
		}
		if got := (<-rang).Sub(start); got != time.Minute {
			t.Errorf("the timer went off after %v, want 1m", got)
		}
	})
}

func TestAdvanceWakesWhatBecomesDueInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		start := c.Now()
		order := make(chan string, 5)
		for _, timer := range []struct {
			name  string
			after time.Duration
		}{{"third", 48 * time.Hour}, {"first", time.Hour}, {"second", time.Hour + 1}, {"second, made later", time.Hour + 1}, {"last", 49 * time.Hour}} {
			c.AfterFunc(timer.after, func() { order <- timer.name })
		}

		c.Advance(48 * time.Hour)

		if len(order) != 4 {
			t.Errorf("%d timers were called by the time Advance returned, want 4", len(order))
		}
		if got := c.Now().Sub(start); got != 48*time.Hour {
			t.Errorf("moved by %v, want 48h", got)
		}
		// The rest is still due, by the wall clock.
		for _, want := range []string{"first", "second", "second, made later", "third", "last"} {
			if got := <-order; got != want {
				t.Errorf("called %q, want %q", got, want)
			}
		}
		if got := c.Now().Sub(start); got != 49*time.Hour {
			t.Errorf("the last timer was called after %v, want 49h", got)
		}
	})
}

func TestAdvanceNeverMovesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		before := c.Now()
		c.Advance(-time.Hour)
		if !c.Now().Equal(before) {
			t.Errorf("moved from %v to %v", before, c.Now())
		}
	})
}

func TestNextLetsADriverVisitEachTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		start := c.Now()
		if at, ok := c.Next(); ok {
			t.Fatalf("a new clock has a timer at %v", at)
		}
		var ticks []time.Duration
		var tick func()
		tick = func() {
			ticks = append(ticks, c.Now().Sub(start))
			if len(ticks) < 3 {
				c.AfterFunc(15*time.Minute, tick)
			}
		}
		c.AfterFunc(15*time.Minute, tick)
		for at, ok := c.Next(); ok; at, ok = c.Next() {
			c.Advance(at.Sub(c.Now()))
		}
		want := []time.Duration{15 * time.Minute, 30 * time.Minute, 45 * time.Minute}
		if !slices.Equal(ticks, want) {
			t.Errorf("ticked at %v, want %v", ticks, want)
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		called := 0
		kept := c.AfterFunc(time.Minute, func() { called++ })
		stopped := c.AfterFunc(time.Second, func() { called += 100 })
		if !stopped.Stop() {
			t.Error("stopping a pending timer reports false")
		}
		if stopped.Stop() {
			t.Error("stopping it again reports true")
		}
		c.Advance(time.Hour)
		if called != 1 {
			t.Errorf("called = %d, want the kept timer's 1 alone", called)
		}
		if kept.Stop() {
			t.Error("stopping a timer that was called reports true")
		}
		if at, ok := c.Next(); ok {
			t.Errorf("a timer is left at %v", at)
		}
	})
}

func TestSleep(t *testing.T) {
	t.Run("until the time comes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := clock.New()
			woken := make(chan error, 1)
			go func() { woken <- c.Sleep(t.Context(), 72*time.Hour) }()
			synctest.Wait()
			c.Advance(72 * time.Hour)
			if err := <-woken; err != nil {
				t.Errorf("Sleep: %v", err)
			}
		})
	})
	t.Run("until the context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := clock.New()
			cause := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(cause)
			if err := c.Sleep(ctx, time.Hour); !errors.Is(err, cause) {
				t.Errorf("Sleep = %v, want the context's cause", err)
			}
			if at, ok := c.Next(); ok {
				t.Errorf("the sleeper left a timer at %v", at)
			}
		})
	})
}

func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	c := clock.New()
	var called, stopped sync.WaitGroup
	for i := range 200 {
		called.Add(1)
		c.AfterFunc(time.Duration(i+1)*time.Hour, called.Done)
		stopped.Go(func() {
			if !c.AfterFunc(1000*time.Hour, func() { t.Error("called although stopped") }).Stop() {
				t.Error("not stopped")
			}
		})
	}
	for range 4 {
		stopped.Go(func() {
			for range 50 {
				c.Advance(time.Hour)
			}
		})
	}
	called.Wait()
	stopped.Wait()
}
