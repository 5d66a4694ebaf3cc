package sweeper

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/fakeittybit"
)

// inBubble runs a test in a bubble of its own time, in which start is when it
// begins.
func inBubble(t *testing.T, test func(t *testing.T, f *deployed, start time.Time)) {
	t.Helper()
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		test(t, w.deploy(t), time.Now().UTC())
	})
}

func TestLostCallbacks(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		ends := map[fakeittybit.Status]media.State{
			fakeittybit.Succeeded: media.Succeeded,
			fakeittybit.Failed:    media.Failed,
			fakeittybit.Cancelled: media.Cancelled,
		}
		ids := map[fakeittybit.Status]string{}
		for status := range ends {
			ids[status] = f.dispatched(t, string(status), start)
			f.ends(t, ids[status], status)
		}
		later := f.dispatched(t, "not overdue", start.Add(time.Minute))
		f.ends(t, later, fakeittybit.Succeeded)

		wantJobs(t, f.well(t, start.Add(overdueAfter-time.Millisecond)), false, map[outcome]int{})
		now := start.Add(overdueAfter)
		wantJobs(t, f.well(t, now), false, map[outcome]int{settled: 3})
		for status, state := range ends {
			row := f.want(t, ids[status], state, time.Time{})
			if !row.UpdatedAt.Time().Equal(now) || (row.OutputURL != "") != (state == media.Succeeded) || (row.Error != "") != (state == media.Failed) {
				t.Errorf("%s: the row is %+v", status, row)
			}
		}
		f.want(t, later, media.Queued, now.Add(time.Minute))
		f.log.WantCounted(t, telemetry.JobsSwept, map[string]float64{string(settled): 3})
		f.log.WantCounted(t, telemetry.Results, map[string]float64{"succeeded": 1, "failed": 1, "cancelled": 1})
		f.log.WantCounted(t, telemetry.UploadToResult, map[string]float64{"": 3 * overdueAfter.Seconds()})
		f.log.WantCounted(t, telemetry.SweepBehind, map[string]float64{})
		if n := len(f.log.Said(t, "result stored")); n != 3 {
			t.Errorf("%d lines for 3 settled jobs", n)
		}
		if all := f.log.Said(t, "sweep ended"); len(all) != 2 || all[1][string(settled)] != 3.0 || all[1]["behind"] != false {
			t.Errorf("the runs' lines are %v", all)
		}
	})
}

// A job that goes on is looked at after waits that double, from 15 minutes to 6
// hours, and its progress is stored once.
func TestOpenJobs(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		id := f.dispatched(t, "a", start)
		now := start.Add(overdueAfter)
		for i, minutes := range []int{15, 15, 30, 60, 120, 240, 360, 360} {
			const leased = 2 // writes: taken and released
			writes := f.Calls()["DynamoDB.UpdateItem"]
			wantJobs(t, f.well(t, now), false, map[outcome]int{open: 1})
			next := now.Add(time.Duration(minutes) * time.Minute)
			row := f.want(t, id, media.Processing, next)
			if want := start.Add(overdueAfter); !row.UpdatedAt.Time().Equal(want) {
				t.Errorf("look %d: updated at %v, want %v", i, row.UpdatedAt.Time(), want)
			}
			if n := f.Calls()["DynamoDB.UpdateItem"] - writes; i > 0 && n != 1+leased {
				t.Errorf("look %d: %d writes for no news, want %d", i, n, 1+leased)
			}
			wantJobs(t, f.well(t, next.Add(-time.Millisecond)), false, map[outcome]int{})
			now = next
		}
		f.log.WantCounted(t, telemetry.Results, map[string]float64{})
	})
}

// A 404 counts 24 hours after the dispatch and in a run in which Ittybit knew
// another job, whichever came first.
func TestJobsThatIttybitDoesNotKnow(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		age   time.Duration
		known []time.Duration // the ages of jobs that Ittybit knows
		want  media.State
	}{
		"young":                   {age: day - time.Millisecond, known: []time.Duration{time.Hour}, want: media.Queued},
		"old, nothing known":      {age: 2 * day, want: media.Queued},
		"old, known after":        {age: day, known: []time.Duration{time.Hour}, want: media.InferredFailed},
		"old, known before":       {age: day, known: []time.Duration{2 * day}, want: media.InferredFailed},
		"almost given up":         {age: giveUpAfter - time.Millisecond, want: media.Queued},
		"given up, nothing known": {age: giveUpAfter, want: media.InferredFailed}, // or it would be open for ever
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
				now := start.Add(1000 * time.Hour)
				id := f.unknown(t, "lost", now.Add(-tt.age))
				for i, age := range tt.known {
					f.dispatched(t, fmt.Sprint(i), now.Add(-age))
				}
				s := f.well(t, now)
				if tt.want != media.InferredFailed {
					f.want(t, id, tt.want, now.Add(mostWait))
					if s.Jobs[string(missing)] != 1 || s.Jobs[string(gaveUp)] != 0 {
						t.Errorf("the run says %+v", s)
					}
					return
				}
				jobs := map[outcome]int{gaveUp: 1}
				if len(tt.known) > 0 {
					jobs[open] = len(tt.known)
				}
				wantJobs(t, s, false, jobs)
				row := f.want(t, id, tt.want, time.Time{})
				want := "lost: Ittybit does not know the job, 24h0m0s after it was dispatched"
				if tt.age >= giveUpAfter {
					want = "given up: Ittybit does not know the job 168h0m0s after it was dispatched (GIVE_UP_AFTER)"
				}
				if row.Error != want {
					t.Errorf("the reason is %q, want %q", row.Error, want)
				}
				f.log.WantCounted(t, telemetry.Results, map[string]float64{"failed": 1})
				swept := map[string]float64{string(gaveUp): 1}
				if len(tt.known) > 0 {
					swept[string(open)] = float64(len(tt.known))
				}
				f.log.WantCounted(t, telemetry.JobsSwept, swept)
			})
		})
	}
}

// The verdict on missing jobs is left to another run when this one ended early.
func TestNobodyIsGivenUpInARunThatEndedEarly(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		now := start.Add(1000 * time.Hour)
		f.dispatched(t, "known", now.Add(-50*time.Hour))
		lost := f.unknown(t, "lost", now.Add(-40*time.Hour))
		locked := f.dispatched(t, "locked", now.Add(-30*time.Hour))
		f.status(http.StatusUnauthorized, locked, "")
		f.badly(t, now, "check the API key")
		f.want(t, lost, media.Queued, now.Add(mostWait))
	})
}

// A job is given up when Ittybit says for too long that it goes on.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		age  time.Duration
		want media.State
	}{
		"at last":         {age: giveUpAfter, want: media.InferredFailed},
		"a moment before": {age: giveUpAfter - time.Millisecond, want: media.Processing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
				id := f.dispatched(t, "a", start)
				now := start.Add(tt.age)
				f.well(t, now)
				if tt.want == media.Processing {
					f.want(t, id, tt.want, now.Add(mostWait))
					return
				}
				row := f.want(t, id, tt.want, time.Time{})
				if want := "given up: Ittybit still says processing 168h0m0s after it was dispatched (GIVE_UP_AFTER)"; row.Error != want {
					t.Errorf("the reason is %q, want %q", row.Error, want)
				}
				f.log.WantCounted(t, telemetry.JobsSwept, map[string]float64{string(gaveUp): 1})
				wantJobs(t, f.well(t, now.Add(mostWait)), false, map[outcome]int{}) // asked for no more

				// What Ittybit says later counts, but not that it goes on.
				for _, late := range []struct {
					state media.State
					want  results.Verdict
				}{{state: media.Processing, want: results.Duplicate}, {state: media.Failed, want: results.Stored}, {state: media.Succeeded, want: results.Stored}} {
					outcome, err := f.Table.Apply(t.Context(), results.Report{At: now, Ref: row.Ref(), Result: media.Result{JobID: id, State: late.state}})
					if err != nil || outcome.Verdict != late.want {
						t.Errorf("%v, later: %v, %v", late.state, outcome.Verdict, err)
					}
				}
				if row := f.want(t, id, media.Succeeded, time.Time{}); row.Error != "" {
					t.Errorf("the job that succeeded has the reason %q", row.Error)
				}
			})
		})
	}
}

// meanwhile has f done while Ittybit is asked for a job.
func (f *deployed) meanwhile(do func()) {
	next := f.Handler.ittybit
	f.Handler.ittybit = asking{f.Handler.ittybit, func(ctx context.Context, id string) (media.Result, error) {
		do()
		return next.Get(ctx, id)
	}}
}

// A row that is deleted while Ittybit is asked does not come back.
func TestRowGoneMeanwhile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end fakeittybit.Status // "": it goes on
		age time.Duration
	}{
		"over":     {end: fakeittybit.Succeeded, age: time.Hour},
		"goes on":  {age: time.Hour},
		"given up": {age: giveUpAfter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
				id := f.dispatched(t, "a", start)
				if tt.end != "" {
					f.ends(t, id, tt.end)
				}
				f.meanwhile(func() { f.delete(t, id) })
				wantJobs(t, f.well(t, start.Add(tt.age)), false, map[outcome]int{gone: 1})
				if rows := f.rows(t); len(rows) != 0 {
					t.Errorf("there is a row again: %+v", rows)
				}
				f.log.WantCounted(t, telemetry.Results, map[string]float64{})
			})
		})
	}
}

// A callback that comes while Ittybit is asked has the last word.
func TestCallbackMeanwhile(t *testing.T) {
	t.Parallel()
	for name, age := range map[string]time.Duration{"goes on": time.Hour, "given up": giveUpAfter} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
				id := f.dispatched(t, "a", start)
				f.meanwhile(func() {
					r := media.Result{JobID: id, Status: "succeeded", State: media.Succeeded}
					if _, err := f.Table.Apply(t.Context(), results.Report{At: start, Ref: refTo(upload("a", start)), Result: r}); err != nil {
						t.Error(err)
					}
				})
				f.well(t, start.Add(age))
				f.want(t, id, media.Succeeded, time.Time{})
				f.log.WantCounted(t, telemetry.Results, map[string]float64{})
			})
		})
	}
}

// The claims are the row's; an answer whose metadata says otherwise is not the
// job's.
func TestMetadataOfAnotherJob(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		id := f.dispatched(t, "a", start)
		f.ends(t, id, fakeittybit.Succeeded)
		f.delete(t, id)
		f.note(t, "b", start, media.Result{JobID: id, Status: "queued"})
		// Nor does such an answer say that the key is right.
		lost := f.unknown(t, "lost", start.Add(time.Second))
		now := start.Add(giveUpAfter - time.Hour)
		wantJobs(t, f.badly(t, now, "of another upload, job or attempt", id), false, map[outcome]int{failed: 1, missing: 1})
		f.want(t, id, media.Queued, now.Add(mostWait))
		f.want(t, lost, media.Queued, now.Add(mostWait))

		now = now.Add(mostWait)
		wantJobs(t, f.well(t, now), false, map[outcome]int{gaveUp: 2})
		if row := f.want(t, id, media.InferredFailed, time.Time{}); !strings.HasPrefix(row.Error, "given up: the job that Ittybit has by that id") {
			t.Errorf("the reason is %q", row.Error)
		}
	})
}
