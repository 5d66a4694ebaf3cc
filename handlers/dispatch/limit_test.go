package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/aws/endpoint"
)

// wantDay checks the count of a day's jobs.
func (w *world) wantDay(day time.Time, want int64) {
	w.t.Helper()
	if n, err := w.Table.JobCount(w.t.Context(), day); n != want || err != nil {
		w.t.Errorf("%v has %d jobs, %v; want %d", day, n, err, want)
	}
}

func TestDailyLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{env: []string{env.DailyJobLimit, "4"}})
	w.well(withKey(t, "1.mov"))
	w.well(withKey(t, "2.mov")) // starts below the limit
	if err := w.badly(withKey(t, "3.mov")); !errors.Is(err, errDailyLimit) {
		t.Errorf("over the limit: %v", err)
	}
	w.handler = w.wire() // another process reads the count
	w.queue(messages(withKey(t, "3.mov")), "m0")
	if a := w.well(withKey(t, "1.mov")); a.Skipped != media.SkipHaveJobs {
		t.Errorf("what needs no new job: %+v", a)
	}
	w.wantDay(time.Now(), 6)
	w.wantTotal(6)
	w.log.WantCounted(t, telemetry.DailyLimitReached, map[string]float64{"": 2})
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

func TestWhatIsNotCountedIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{env: []string{env.DailyJobLimit, "4"}})
	w.Fail(handlertest.Operation("UpdateItem"), &endpoint.Fault{Type: "ValidationException", Message: "no"})
	w.well(payload(t, nil)) // the jobs are there
	if len(w.log.Said(t, "new jobs not counted against the daily limit")) != 1 {
		t.Error("nothing says so")
	}
}
