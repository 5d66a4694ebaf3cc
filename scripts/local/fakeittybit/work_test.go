package fakeittybit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/scripts/local/fakeittybit"
)

func TestJobsTakeTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, fakeittybit.Options{Instant: true, Outcome: func(fakeittybit.Job) fakeittybit.Outcome {
			return fakeittybit.Outcome{After: 3 * time.Hour}
		}})
		defer closeIt(t, s)
		submit(t, s, plainJob)
		synctest.Wait()
		if j := s.Jobs()[0]; j.Status != fakeittybit.Processing {
			t.Errorf("status %s, want processing", j.Status)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := s.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait gave %v before the job was over", err)
		}
		if err := s.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if j := s.Jobs()[0]; j.Status != fakeittybit.Succeeded || j.FinishedAt.Sub(j.StartedAt) != 3*time.Hour {
			t.Errorf("status %s after %v, want succeeded after 3h", j.Status, j.FinishedAt.Sub(j.StartedAt))
		}
	})
}

func TestIdleIsUntilTheClockMovesOn(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	var posts atomic.Int64
	s := start(t, fakeittybit.Options{
		Instant: true, Clock: clock,
		Outcome:    func(fakeittybit.Job) fakeittybit.Outcome { return fakeittybit.Outcome{After: time.Hour} },
		Deliveries: func(fakeittybit.Job) []fakeittybit.Delivery { return []fakeittybit.Delivery{{}, {After: time.Hour}} },
		Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			posts.Add(1)
			return ok(), nil
		}),
	})
	defer closeIt(t, s)
	submit(t, s, `{"input":"s3://b/k","kind":"video","webhook_url":"https://example.com/"}`)
	for i, want := range []struct {
		status fakeittybit.Status
		posts  int64
		busy   int
	}{{fakeittybit.Processing, 0, 1}, {fakeittybit.Succeeded, 1, 1}, {fakeittybit.Succeeded, 2, 0}} {
		if i > 0 {
			clock.Advance(time.Hour)
		}
		if err := s.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.Jobs()[0].Status; got != want.status || posts.Load() != want.posts || s.Busy() != want.busy {
			t.Errorf("after %d h: %s, %d callbacks, %d to come; want %v", i, got, posts.Load(), s.Busy(), want)
		}
	}
}

// Not parallel: it counts goroutines.
func TestThousandsOfJobs(t *testing.T) {
	const jobs = 3000
	clock := newFakeClock()
	var failed sync.Map // by URL: the first callback of every other job fails
	var calls, most atomic.Int64
	s := start(t, fakeittybit.Options{
		Instant: true, Clock: clock,
		Outcome: func(fakeittybit.Job) fakeittybit.Outcome { return fakeittybit.Outcome{After: time.Hour} },
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			defer calls.Add(-1)
			n := calls.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			if _, again := failed.LoadOrStore(r.URL.Path, true); !again && strings.HasSuffix(r.URL.Path, "/0") {
				return nil, errors.New("broken")
			}
			return ok(), nil
		}),
	})
	defer closeIt(t, s)
	before := runtime.NumGoroutine()
	for i := range jobs {
		submit(t, s, fmt.Sprintf(`{"input":"s3://b/%d","kind":"video","webhook_url":"https://example.com/%d/%d"}`, i, i, i%2))
	}
	if err := s.Idle(t.Context()); err != nil { // each has begun
		t.Fatal(err)
	}
	if more := runtime.NumGoroutine() - before; more > 50 {
		t.Errorf("%d waiting jobs hold %d goroutines", jobs, more)
	}
	done := make(chan error, 1)
	go func() { done <- s.Wait(t.Context()) }()
	for {
		select {
		case d := <-clock.asked:
			clock.Advance(d)
			continue
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		}
		break
	}
	if n := s.Callbacks(); n.Delivered != jobs || n.Posts != jobs+jobs/2 {
		t.Errorf("Callbacks() = %+v, want %d delivered with %d posts", n, jobs, jobs+jobs/2)
	}
	if most.Load() > 32 {
		t.Errorf("%d callbacks at once, want at most 32", most.Load())
	}
	statuses := map[fakeittybit.Status]int{}
	for _, j := range s.Jobs() {
		statuses[j.Status]++
	}
	if want := map[fakeittybit.Status]int{fakeittybit.Succeeded: jobs}; !reflect.DeepEqual(statuses, want) {
		t.Errorf("statuses %v, want %v", statuses, want)
	}
}
