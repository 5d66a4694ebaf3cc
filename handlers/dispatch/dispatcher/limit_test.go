package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
)

// wantDay checks the count of a day's jobs.
func (w *world) wantDay(day time.Time, want int64) {
	w.t.Helper()
	if n, err := w.Table.JobCount(w.t.Context(), day); n != want || err != nil {
		w.t.Errorf("%v has %d jobs, %v; want %d", day, n, err, want)
	}
}

func TestTheLimitIsNeverExceeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{env: []string{env.DailyJobLimit, "7"}})
	w.well(withKey(t, "1.mov"))
	w.well(withKey(t, "2.mov"))
	if err := w.badly(withKey(t, "3.mov")); !errors.Is(err, errDailyLimit) {
		t.Errorf("three jobs where there is room for one: %v", err)
	}
	w.Handler = w.wire() // another process asks the table
	w.queue(messages(withKey(t, "3.mov")), "m0")
	if a := w.well(withKey(t, "1.mov")); a.Skipped != media.SkipHaveJobs {
		t.Errorf("what needs no new job: %+v", a)
	}
	w.wantDay(time.Now(), 6)
	w.wantTotal(6)
	w.log.WantCounted(t, telemetry.DailyLimitReached, map[string]float64{"": 2})
}

// burst invokes dispatch for n uploads at once, each in a process of its own,
// and returns how many failed.
func (w *world) burst(n int) (failed int) {
	w.t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		h, e := w.wire(), withKey(w.t, fmt.Sprintf("%d.mov", i))
		wg.Go(func() {
			if _, err := h.Invoke(w.t.Context(), e); err != nil {
				mu.Lock()
				failed++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failed
}

const oneJob = `{"routes":[{"jobs":[{"name":"video","kind":"video"}]}]}`

func TestABurstStaysWithinTheLimitAndTheRestFollowsTheNextDay(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		routes string
		jobs   int // of the limit of 10
	}{
		"one job":    {routes: oneJob, jobs: 10},
		"three jobs": {jobs: 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{routes: tt.routes, env: []string{env.DailyJobLimit, "10"}})
			w.burst(300)
			w.wantTotal(tt.jobs)
			w.wantDay(time.Now(), int64(tt.jobs))
			w.later = 24 * time.Hour
			for i := range 300 {
				_, _ = w.invoke(withKey(t, fmt.Sprintf("%d.mov", i))) // fails where the next day is full, too
			}
			w.wantTotal(2 * tt.jobs)
		})
	}
}

// Whatever Ittybit answers after it made a job, and however often the table
// refuses to note it, the count is never under the jobs that there are.
func TestJobsThatMayHaveBeenMadeStayCounted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault     func(fakeittybit.Request) fakeittybit.Fault
		throttled bool // the rows' writes are
	}{
		"made, then 500": {fault: func(fakeittybit.Request) fakeittybit.Fault { return fakeittybit.Fault{Accept: true, Status: 500} }},
		"made, then 500, then 429": {fault: func(r fakeittybit.Request) fakeittybit.Fault {
			if r.Ordinal%2 == 1 {
				return fakeittybit.Fault{Accept: true, Status: 500}
			}
			return fakeittybit.Fault{Status: 429}
		}},
		"rows are throttled": {throttled: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{routes: oneJob, env: []string{env.DailyJobLimit, "3"}, ittybit: fakeittybit.Options{
				Fault: func(r fakeittybit.Request) fakeittybit.Fault {
					if r.Op == fakeittybit.Create && tt.fault != nil {
						return tt.fault(r)
					}
					return fakeittybit.Fault{}
				},
			}})
			if tt.throttled {
				w.Fail(handlertest.Operation("PutItem"), &endpoint.Fault{Type: "ProvisionedThroughputExceededException"})
			}
			for i := range 8 {
				for range 2 {
					w.later += time.Second
					_, _ = w.invoke(withKey(t, fmt.Sprintf("%d.mov", i)))
				}
			}
			n, err := w.Table.JobCount(t.Context(), time.Now())
			if made := int64(len(w.ittybit.Jobs())); err != nil || made > 3 || made > n {
				t.Errorf("%d jobs, counted as %d (%v), with a limit of 3", made, n, err)
			}
		})
	}
}

func TestAdoptingNeverWaitsForTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{env: []string{env.DailyJobLimit, "3"}})
	w.Fail(func(c endpoint.Call) bool {
		return strings.Contains(string(c.Body), "ledger#") && c.Operation == "UpdateItem"
	},
		&endpoint.Fault{Type: "ValidationException", Message: "the process died here"})
	w.badly(payload(t, nil)) // made, and not noted
	w.Intercept(nil)
	w.queue(messages(payload(t, nil)))
	w.wantJobs(key, jobNames...)
	w.wantDay(time.Now(), 3)
	w.wantRequests(fakeittybit.Create, 3)
}

func TestWhatWasNotMadeIsGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{
		env:     []string{env.DailyJobLimit, "3"},
		ittybit: failing(fakeittybit.Create, fakeittybit.Fault{Status: 402, Kind: "payment_required", Message: "m"}),
	})
	for range 5 {
		w.badly(payload(t, nil))
		w.wantDay(time.Now(), 0)
	}
}

// All that tells the time is the deadline: days can pass while the wall clock
// stands still.
func TestTimesAreThoseOfTheInvocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{env: []string{env.DailyJobLimit, "3", env.OverdueAfter, "45m"}})
	began := time.Date(2041, 5, 6, 23, 0, 0, 0, time.UTC)
	at := func(began time.Time, k string) error {
		ctx, cancel := context.WithDeadline(t.Context(), began.Add(media.DispatchTimeout))
		defer cancel()
		_, err := w.Invoke(ctx, withKey(t, k))
		return err
	}
	if err := at(began, "1.mov"); err != nil {
		t.Fatal(err)
	}
	for _, row := range w.Rows(t, "1.mov") {
		if !row.DispatchedAt.Time().Equal(began) || !row.UpdatedAt.Time().Equal(began) || !row.CheckAt.Time().Equal(began.Add(45*time.Minute)) {
			t.Errorf("dispatched %v, updated %v, due %v; want %v", row.DispatchedAt.Time(), row.UpdatedAt.Time(), row.CheckAt.Time(), began)
		}
	}
	if err := at(began.Add(59*time.Minute), "2.mov"); !errors.Is(err, errDailyLimit) {
		t.Errorf("over the day's limit: %v", err)
	}
	if err := at(began.Add(time.Hour), "2.mov"); err != nil { // tomorrow
		t.Errorf("the next day: %v", err)
	}
	w.wantDay(began, 3)
	w.wantDay(began.Add(time.Hour), 3)
}

func TestWithoutACountNothingIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{env: []string{env.DailyJobLimit, "4"}})
	w.Fail(handlertest.Operation("UpdateItem"), &endpoint.Fault{Type: "ValidationException", Message: "no"})
	w.badly(payload(t, nil))
	w.wantTotal(0)
}

// A try from the queue that finds no ledger notes the reservation of the job
// that may have been made; it must not take it for an earlier try's.
func TestAQueuedJobThatMayHaveBeenMadeStaysCounted(t *testing.T) {
	t.Parallel()
	const uploads = 20
	w := newWorld(t, setup{routes: oneJob, env: []string{env.DailyJobLimit, "100"}, ittybit: fakeittybit.Options{
		Fault: func(r fakeittybit.Request) fakeittybit.Fault {
			if r.Op != fakeittybit.Create {
				return fakeittybit.Fault{}
			}
			return fakeittybit.Fault{Accept: true, Status: 500}
		},
	}})
	for i := range uploads {
		w.queue(messages(withKey(t, fmt.Sprintf("%d.mov", i))), "m0")
	}
	w.wantDay(time.Now(), uploads)
}
