package dispatcher

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
)

func TestTheSameEventTenTimesAtOnceAndAgainLater(t *testing.T) {
	t.Parallel()
	for name, inFlight := range map[string]fakeittybit.InFlight{"Ittybit waits": fakeittybit.WaitInFlight, "Ittybit answers 409": fakeittybit.RefuseInFlight} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{ittybit: fakeittybit.Options{InFlight: inFlight, Latency: 50 * time.Millisecond}})
			e := payload(t, nil)
			// All of them see that there is no row before any of them makes a
			// job.
			const times = 10
			var looked sync.WaitGroup
			looked.Add(times)
			w.Intercept(func(_ context.Context, c endpoint.Call) error {
				if c.Operation == "GetItem" && c.Ordinal <= times {
					looked.Done()
					looked.Wait()
				}
				return nil
			})
			var wg sync.WaitGroup
			failed := make(chan []byte, times)
			for range times {
				h := w.wire() // each in a process of its own
				wg.Go(func() {
					if _, err := h.Invoke(t.Context(), e); err != nil {
						failed <- e
					}
				})
			}
			wg.Wait()
			close(failed)
			var again [][]byte
			for e := range failed {
				again = append(again, e)
			}
			if inFlight == fakeittybit.WaitInFlight && len(again) > 0 {
				t.Errorf("%d of 10 failed", len(again))
			}
			if inFlight == fakeittybit.RefuseInFlight && len(again) == 0 {
				t.Error("none of 10 met a 409: nothing is tested")
			}
			if len(again) > 0 {
				w.queue(again)
			}
			w.wantJobs(key, jobNames...)
			posts := w.ittybit.Requests()[fakeittybit.Create]
			if a := w.well(e); a.Skipped != media.SkipHaveJobs {
				t.Errorf("the next day: %+v", a)
			}
			w.wantRequests(fakeittybit.Create, posts)
			w.wantJobs(key, jobNames...)
			w.log.WantCounted(t, telemetry.JobsCreated, map[string]float64{"": 3})
		})
	}
}

// Ittybit took the job, said 500, and says so again for that key.
func TestAReplayedFailureIsAdopted(t *testing.T) {
	t.Parallel()
	var once sync.Once
	w := newWorld(t, setup{ittybit: fakeittybit.Options{
		ReplayFailures: true,
		Fault: func(r fakeittybit.Request) (fault fakeittybit.Fault) {
			if r.Op == fakeittybit.Create && r.Kind == "video" {
				once.Do(func() { fault = fakeittybit.Fault{Accept: true, Status: 500} })
			}
			return fault
		},
	}})
	ctx, cancel := context.WithTimeout(t.Context(), reserveToAnswer+reserveToWrite+700*time.Millisecond) // no time for a second attempt
	defer cancel()
	if _, err := w.Invoke(ctx, payload(t, nil)); err == nil {
		t.Fatal("the failure does not show")
	}
	w.queue(messages(file(t, "lambda_failure_envelope.json")))
	w.wantJobs(key, jobNames...)
	w.log.WantCounted(t, telemetry.JobsCreated, map[string]float64{"": 3})
}

func TestInterruptedBetweenIttybitAndTheTable(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]bool{"the key still known": false, "a day later": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{ittybit: fakeittybit.Options{ListOmitsMetadata: forget}})
			// The process dies before it can note any of its jobs but one.
			w.Fail(handlertest.Operation("PutItem"), nil, &endpoint.Fault{Type: "ValidationException", Message: "the process died here"})
			w.badly(payload(t, nil))
			if n := len(w.Rows(t, key)); n != 1 {
				t.Fatalf("%d rows", n)
			}
			w.Intercept(nil)
			if forget {
				w.ittybit.ForgetKeys()
			}
			w.queue(messages(payload(t, nil)))
			w.wantJobs(key, jobNames...)
			w.wantRequests(fakeittybit.Create, 3) // what is there is adopted
		})
	}
}

func TestEveryFormGivesWhatTheDirectEventGives(t *testing.T) {
	t.Parallel()
	direct := newWorld(t, setup{})
	direct.well(payload(t, nil))
	ours := func(detailType string) []byte {
		p, err := event.DecodePayload(payload(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		data, err := event.EncodeRequest(detailType, p.Messages[0].Request)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, deliver := range map[string]func(*world){
		"a queue message":   func(w *world) { w.queue(messages(payload(t, nil))) },
		"Lambda's envelope": func(w *world) { w.queue(messages(file(t, "lambda_failure_envelope.json"))) },
		event.Backfill:      func(w *world) { w.well(ours(event.Backfill)) },
		event.Redrive:       func(w *world) { w.well(ours(event.Redrive)) },
		event.Retry:         func(w *world) { w.well(ours(event.Retry)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			deliver(w)
			w.wantRequests(fakeittybit.List, 1)
			w.wantJobs(key, jobNames...)
			for _, job := range jobNames {
				if got, want := comparable(w.row(key, job)), comparable(direct.row(key, job)); !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			}
		})
	}
}

// comparable is the row without what differs from run to run.
func comparable(r results.Row) results.Row {
	r.SortKey, r.CheckAt, r.UpdatedAt, r.DispatchedAt, r.CreatedAt, r.UploadedAt = "", 0, 0, 0, 0, 0
	return r
}

func TestWhenAskingFailsNothingIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: failing(fakeittybit.List, fakeittybit.Fault{Status: 503})})
	w.queue(messages(payload(t, nil)), "m0")
	w.wantTotal(0)
}

func TestTheQueueIsTheRetryOfTheQueuePath(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: failing(fakeittybit.Create, fakeittybit.Fault{Status: 503})})
	w.queue(messages(payload(t, nil)), "m0")
	w.wantRequests(fakeittybit.Create, 3) // one for each job
}

func TestARetryIsAnAttemptOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.well(payload(t, nil))
	w.well(file(t, "retry.json"))
	w.well(file(t, "retry.json")) // asked for twice, made once
	var attempts []string
	for _, r := range w.Rows(t, key) {
		attempts = append(attempts, fmt.Sprintf("%s %d", r.Job, r.Attempt))
	}
	slices.Sort(attempts)
	if want := []string{"audio 0", "thumbnail 0", "thumbnail 2", "video 0"}; !slices.Equal(attempts, want) {
		t.Errorf("got %v, want %v", attempts, want)
	}
	w.wantTotal(4)
}

func TestABatchWithTheSameUploadTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: fakeittybit.Options{InFlight: fakeittybit.RefuseInFlight, Latency: 5 * time.Millisecond}})
	w.queue(messages(payload(t, nil), file(t, "lambda_failure_envelope.json"), payload(t, nil), withKey(t, "b.mov")))
	w.wantJobs(key, jobNames...)
	w.wantJobs("b.mov", jobNames...)
}

// wantBoth counts the rows that have both what the callback and what dispatch
// knew.
func (w *world) wantBoth(key string, least int) {
	w.t.Helper()
	n := 0
	for _, r := range w.Rows(w.t, key) {
		if r.State == "succeeded" && r.Open == "" && r.ETag != "" && r.Input != "" && r.DispatchedAt != 0 {
			n++
		}
	}
	if n < least {
		w.t.Errorf("%d rows have both what the callback and what dispatch knew, want %d: %+v", n, least, w.Rows(w.t, key))
	}
}

func TestTheCallbackMayBeFaster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	// The callback's row is there before dispatch writes its own.
	w.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Operation != "PutItem" || c.Ordinal > 1 {
			return nil
		}
		return w.callbacks()
	})
	w.well(withKey(t, "fast.mov"))
	w.wantJobs("fast.mov", jobNames...)
	w.wantBoth("fast.mov", 1)
	w.log.WantCounted(t, telemetry.JobsCreated, map[string]float64{"": 3})
}

func TestACallbackMayComeAfterATryThatWasInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.Fail(handlertest.Operation("PutItem"), &endpoint.Fault{Type: "InternalServerError", Message: "cut short"})
	e := withKey(t, "cut.mov")
	w.badly(e)
	w.Intercept(nil)
	if err := w.callbacks(); err != nil {
		t.Fatal(err)
	}
	w.queue(messages(e))
	w.wantJobs("cut.mov", jobNames...)
	w.wantBoth("cut.mov", len(jobNames))
}
