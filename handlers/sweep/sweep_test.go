package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/aws/endpoint"
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

// paged gives small pages, and notes which indexes were read.
type paged struct {
	results.DynamoDB
	size    int32
	indexes []string
}

func (p *paged) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	p.indexes = append(p.indexes, aws.ToString(in.IndexName))
	in.Limit = &p.size
	return p.DynamoDB.Query(ctx, in, o...)
}

// Jobs are asked for in the order in which they became due, over all pages of
// the index, and nothing but the index is read.
func TestOrderOverPagesOfTheIndex(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		pages := &paged{DynamoDB: f.DynamoDB, size: 2}
		f.handler.jobs = results.New(pages, tableName, results.Options{})
		const jobs = 9
		want := make([]string, jobs)
		for i := range jobs {
			place := i * 4 % jobs // not in the order of keys
			want[place] = f.dispatched(t, fmt.Sprint(i), start.Add(time.Duration(place)*time.Second))
		}
		before := f.Calls()
		wantJobs(t, f.well(t, start.Add(time.Hour)), false, map[outcome]int{open: jobs})
		if !slices.Equal(f.asked, want) {
			t.Errorf("asked for %v\nwant      %v", f.asked, want)
		}
		for name, n := range f.Calls() {
			if strings.HasPrefix(name, endpoint.ServiceDynamoDB) && n > before[name] && name != "DynamoDB.Query" && name != "DynamoDB.UpdateItem" {
				t.Errorf("sweep called %s", name)
			}
		}
		if want := slices.Repeat([]string{results.OpenIndex}, jobs/2+1); !slices.Equal(pages.indexes, want) {
			t.Errorf("queries of %v, want %v: a page of 2 each", pages.indexes, want)
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
			writes := f.Calls()["DynamoDB.UpdateItem"]
			wantJobs(t, f.well(t, now), false, map[outcome]int{open: 1})
			next := now.Add(time.Duration(minutes) * time.Minute)
			row := f.want(t, id, media.Processing, next)
			if want := start.Add(overdueAfter); !row.UpdatedAt.Time().Equal(want) {
				t.Errorf("look %d: updated at %v, want %v", i, row.UpdatedAt.Time(), want)
			}
			if n := f.Calls()["DynamoDB.UpdateItem"] - writes; i > 0 && n != 1 {
				t.Errorf("look %d: %d writes for no news, want 1", i, n)
			}
			wantJobs(t, f.well(t, next.Add(-time.Millisecond)), false, map[outcome]int{})
			now = next
		}
		f.log.WantCounted(t, telemetry.Results, map[string]float64{})
	})
}

// A run that has no more time ends well before it is over, and the next one
// goes on where it ended.
func TestDeadline(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		const jobs, fit = 30, 19 // in 2 seconds less the first tenth
		var ids []string
		for i := range jobs {
			ids = append(ids, f.dispatched(t, fmt.Sprint(i), start.Add(time.Duration(i-jobs)*time.Hour)))
			f.ends(t, ids[i], fakeittybit.Succeeded)
		}
		// 17 seconds are left.
		ctx, cancel := context.WithTimeout(t.Context(), reserveToAsk+2*time.Second)
		defer cancel()
		s, err := f.Handle(ctx)
		if err != nil || !s.Behind || len(f.asked) < fit || len(f.asked) > fit+1 || !slices.Equal(f.asked, ids[:len(f.asked)]) {
			t.Fatalf("asked for %d jobs: %v, %+v, %v", len(f.asked), f.asked, s, err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		f.log.WantCounted(t, telemetry.SweepBehind, map[string]float64{"": 1})
		done := len(f.asked)
		wantJobs(t, f.well(t, time.Now().Add(time.Minute)), false, map[outcome]int{settled: jobs - done})
		if !slices.Equal(f.asked, ids[done:]) {
			t.Errorf("the next run asked for %v, want %v", f.asked, ids[done:])
		}
		f.log.WantCounted(t, telemetry.SweepBehind, map[string]float64{"": 1})
	})
}

// However far away the deadline is, a run lasts no longer than the function
// may, and keeps to the rate and to the number of requests at once. What it
// asked for is due later, even what never answered.
func TestRateAndTime(t *testing.T) {
	t.Parallel()
	const seconds = int((media.SweepTimeout - reserveToAsk) / time.Second)
	for name, tt := range map[string]struct {
		takes time.Duration // a request
		asked int
		lasts time.Duration // at most
	}{
		"quick": {0, media.SweepRate * seconds, media.SweepTimeout - reserveToAsk},
		"slow":  {time.Second, media.SweepConcurrency * seconds, media.SweepTimeout - reserveToAsk + time.Second},
		"hangs": {time.Hour, media.SweepConcurrency, media.SweepTimeout - reserveToWrite},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
				work := &endless{}
				f.handler.jobs = work
				var mu sync.Mutex
				var begun []time.Time
				inFlight, most := 0, 0
				count := func(change int) {
					mu.Lock()
					defer mu.Unlock()
					if change > 0 {
						begun = append(begun, time.Now())
					}
					inFlight += change
					most = max(most, inFlight)
				}
				f.handler.ittybit = askFunc(func(ctx context.Context, id string) (media.Result, error) {
					count(1)
					defer count(-1)
					select {
					case <-ctx.Done():
						return media.Result{}, ctx.Err()
					case <-time.After(tt.takes):
						return media.Result{JobID: id, State: media.Processing}, nil
					}
				})

				s := f.at(t, start.Add(1000*time.Hour))
				if took := time.Since(start); took > tt.lasts || !s.Behind {
					t.Errorf("it took %v, want %v; behind %v", took, tt.lasts, s.Behind)
				}
				if n := len(begun); n < tt.asked-media.SweepConcurrency || n > tt.asked+media.SweepConcurrency {
					t.Errorf("%d requests, want %d", n, tt.asked)
				}
				if most > media.SweepConcurrency {
					t.Errorf("%d requests at once", most)
				}
				if work.moved != len(begun) {
					t.Errorf("%d jobs were asked for, and %d are due later", len(begun), work.moved)
				}
				// A tick that came late may be followed by one in time.
				for i := range max(0, len(begun)-media.SweepRate-1) {
					if d := begun[i+media.SweepRate+1].Sub(begun[i]); d < time.Second {
						t.Fatalf("%d requests within %v", media.SweepRate+2, d)
					}
				}
			})
		})
	}
}

// Jobs that always fail keep the others waiting for no longer than it takes to
// ask for each of them once.
func TestNoJobStarves(t *testing.T) {
	t.Parallel()
	for _, bad := range []int{1, 3 * maxInARow} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
				var broken, good []string
				for i := range bad {
					broken = append(broken, f.dispatched(t, fmt.Sprint("bad", i), start.Add(time.Duration(i)*time.Millisecond)))
				}
				for i := range 5 {
					good = append(good, f.dispatched(t, fmt.Sprint("good", i), start.Add(time.Second+time.Duration(i)*time.Millisecond)))
					f.ends(t, good[i], fakeittybit.Succeeded)
				}
				f.status(http.StatusInternalServerError, broken...)
				now := start.Add(time.Hour)
				s := f.badly(t, now, "HTTP 500")
				if s.Jobs[string(failed)] == 0 || s.Jobs[string(failed)] > bad {
					t.Errorf("the run says %+v", s)
				}
				if bad > maxInARow {
					if text := "5 jobs failed in a row"; !strings.Contains(f.lastErr.Error(), text) || !s.Behind {
						t.Errorf("behind %v: %v, want %q", s.Behind, f.lastErr, text)
					}
					for i := range bad / maxInARow {
						f.at(t, now.Add(time.Duration(i+1)*15*time.Minute))
					}
				}
				for _, id := range good {
					f.want(t, id, media.Succeeded, time.Time{})
				}
				for _, id := range broken {
					row := f.rows(t)[id]
					if row.Open == "" || !row.CheckAt.Time().After(now) {
						t.Errorf("bad job %s: %+v", id, row)
					}
				}
			})
		})
	}
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
		"young":                   {day - time.Millisecond, []time.Duration{time.Hour}, media.Queued},
		"old, nothing known":      {2 * day, nil, media.Queued},
		"old, known after":        {day, []time.Duration{time.Hour}, media.InferredFailed},
		"old, known before":       {day, []time.Duration{2 * day}, media.InferredFailed},
		"almost given up":         {giveUpAfter - time.Millisecond, nil, media.Queued},
		"given up, nothing known": {giveUpAfter, nil, media.InferredFailed}, // or it would be open for ever
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
		f.status(http.StatusForbidden, locked)
		f.badly(t, now, "check what the API key may do")
		f.want(t, lost, media.Queued, now.Add(mostWait))
	})
}

// A 404 that is not Ittybit's own is a wrong address: it says nothing of the
// jobs.
func TestWrongURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wrong := handlertest.Serve(t, http.NotFoundHandler())
	synctest.Test(t, func(t *testing.T) {
		f := w.deploy(t, env.IttybitAPIURL, wrong)
		start := time.Now()
		now := start.Add(1000 * time.Hour)
		var ids []string
		for i := range maxInARow {
			ids = append(ids, f.unknown(t, fmt.Sprint(i), start))
		}
		f.unknown(t, "not asked for", now.Add(-time.Hour))
		f.badly(t, now, "check the API URL", "5 jobs failed in a row")
		for _, id := range ids {
			f.want(t, id, media.Queued, now.Add(mostWait))
		}
	})
}

// A job is given up when Ittybit says for too long that it goes on, and never
// for an error.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		age    time.Duration
		status int // of Ittybit's answer
		want   media.State
	}{
		"at last":          {giveUpAfter, 200, media.InferredFailed},
		"a moment before":  {giveUpAfter - time.Millisecond, 200, media.Processing},
		"server error":     {2 * giveUpAfter, 500, media.Queued},
		"too many":         {2 * giveUpAfter, 429, media.Queued},
		"refused":          {2 * giveUpAfter, 400, media.Queued},
		"gone for Ittybit": {2 * giveUpAfter, 410, media.Queued},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
				id := f.dispatched(t, "a", start)
				now := start.Add(tt.age)
				if tt.status != 200 {
					f.status(tt.status)
					wantJobs(t, f.badly(t, now, fmt.Sprint("HTTP ", tt.status)), false, map[outcome]int{failed: 1})
					f.want(t, id, tt.want, now.Add(mostWait))
					return
				}
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
				}{{media.Processing, results.Duplicate}, {media.Failed, results.Stored}, {media.Succeeded, results.Stored}} {
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

// While the account or the key is not in order, a run ends at once and says
// what to do, and no row is touched but those done already.
func TestNothingIsTouchedWithoutTheAccount(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(w *world, ids []string)
		says  string
		done  int // jobs settled before
	}{
		"wrong key":     {func(w *world, _ []string) { w.ittybit.SetKeys("another") }, "check the API key", 0},
		"unpaid":        {func(w *world, _ []string) { w.status(http.StatusPaymentRequired) }, "check the bill of the Ittybit account", 0},
		"forbidden":     {func(w *world, _ []string) { w.status(http.StatusForbidden) }, "check what the API key may do", 0},
		"refused later": {func(w *world, ids []string) { w.status(http.StatusUnauthorized, ids[3:]...) }, "check the API key", 3},
		"no key":        {func(w *world, _ []string) { w.Secrets.SetEmpty(keyName) }, "no job was asked for: Ittybit's API key (ittybit/key)", 0},
		"blank key":     {func(w *world, _ []string) { w.Secrets.Set(keyName, " ") }, "store the API key in it", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			synctest.Test(t, func(t *testing.T) {
				f := w.deploy(t)
				start := time.Now()
				var ids []string
				for i := range 8 {
					ids = append(ids, f.dispatched(t, fmt.Sprint(i), start.Add(time.Duration(i)*time.Second)))
					f.ends(t, ids[i], fakeittybit.Succeeded)
				}
				tt.spoil(w, ids)
				f = w.deploy(t) // after the secret was changed
				before := f.rows(t)
				s := f.badly(t, start.Add(giveUpAfter), tt.says)
				for i, id := range ids {
					if i < tt.done {
						f.want(t, id, media.Succeeded, time.Time{})
					} else if row := f.rows(t)[id]; !reflect.DeepEqual(row, before[id]) {
						t.Errorf("row %d was touched: %+v", i, row)
					}
				}
				if !s.Behind || s.Jobs[string(settled)] != tt.done || len(s.Jobs) > 1 {
					t.Errorf("the run says %+v", s)
				}
				if len(f.asked) > tt.done+1 {
					t.Errorf("%d more jobs were asked for", len(f.asked)-tt.done)
				}
				f.log.WantCounted(t, telemetry.SweepBehind, map[string]float64{"": 1})
			})
		})
	}
}

// Without overdue jobs nobody needs a key.
func TestNoJobsNeedNoKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Secrets.SetEmpty(keyName)
	synctest.Test(t, func(t *testing.T) {
		wantJobs(t, w.deploy(t).well(t, time.Now()), false, map[outcome]int{})
	})
}

// Requests under way are cut off when the run ends, and their jobs stay where
// they are in the order.
func TestRequestsUnderWayAreCutOff(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		slow := f.dispatched(t, "slow", start)
		locked := f.dispatched(t, "locked", start.Add(time.Second))
		f.handler.ittybit = askFunc(func(ctx context.Context, id string) (media.Result, error) {
			if id == locked {
				return media.Result{}, &ittybit.Error{Status: http.StatusUnauthorized}
			}
			<-ctx.Done()
			return media.Result{}, ctx.Err()
		})
		before := f.rows(t)
		wantJobs(t, f.badly(t, start.Add(time.Hour), "check the API key"), true, map[outcome]int{})
		for _, id := range []string{slow, locked} {
			if row := f.rows(t)[id]; !reflect.DeepEqual(row, before[id]) {
				t.Errorf("the row was touched: %+v", row)
			}
		}
		if time.Since(start) > time.Second {
			t.Errorf("it took %v", time.Since(start))
		}
	})
}

// meanwhile has f done while Ittybit is asked for a job.
func (f *deployed) meanwhile(do func()) {
	next := f.handler.ittybit
	f.handler.ittybit = askFunc(func(ctx context.Context, id string) (media.Result, error) {
		do()
		return next.Get(ctx, id)
	})
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

// Failures of single jobs, however many, do not end the run, and its error
// stays readable.
func TestManyBadJobs(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		const bad = maxErrors + 4
		var ids []string
		for i := range bad {
			ids = append(ids, f.dispatched(t, fmt.Sprint(i), start.Add(time.Duration(i)*time.Millisecond)))
		}
		good := f.dispatched(t, "good", start.Add(time.Second))
		f.ends(t, good, fakeittybit.Succeeded)
		f.status(http.StatusBadRequest, ids...)
		wantJobs(t, f.badly(t, start.Add(time.Hour), ids[0], "and 4 more"), false, map[outcome]int{failed: bad, settled: 1})
		f.want(t, good, media.Succeeded, time.Time{})
		if n := len(f.log.Said(t, "job not swept")); n != bad {
			t.Errorf("%d lines for %d bad jobs", n, bad)
		}
	})
}

// Only failures without a success in between end the run.
func TestFailuresInBetween(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		const each = 2 * maxInARow
		var broken []string
		for i := range each {
			broken = append(broken, f.dispatched(t, fmt.Sprint("bad", i), start.Add(time.Duration(2*i)*time.Second)))
			f.dispatched(t, fmt.Sprint("good", i), start.Add(time.Duration(2*i+1)*time.Second))
		}
		next := f.handler.ittybit
		f.handler.ittybit = askFunc(func(ctx context.Context, id string) (media.Result, error) {
			if slices.Contains(broken, id) {
				return media.Result{}, &ittybit.Error{Op: "get job", Status: http.StatusBadGateway}
			}
			return next.Get(ctx, id)
		})
		wantJobs(t, f.badly(t, start.Add(time.Hour), "HTTP 502"), false, map[outcome]int{failed: each, open: each})
	})
}

func TestDynamoDBFails(t *testing.T) {
	t.Parallel()
	t.Run("query", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
			f.dispatched(t, "a", start)
			f.Fail(handlertest.Operation("Query"), endpoint.Throttled(endpoint.Call{Service: endpoint.ServiceDynamoDB}))
			wantJobs(t, f.badly(t, start.Add(time.Hour), results.ErrThrottled.Error()), false, map[outcome]int{})
		})
	})
	// What cannot be stored is due later, too: it must not come first for ever.
	t.Run("one result", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
			var ids []string
			for i := range 3 {
				ids = append(ids, f.dispatched(t, fmt.Sprint(i), start.Add(time.Duration(i)*time.Second)))
				f.ends(t, ids[i], fakeittybit.Succeeded)
			}
			f.Fail(handlertest.Operation("UpdateItem"), &endpoint.Fault{Type: "ValidationException", Message: "Item size has exceeded the maximum allowed size"}, nil)
			now := start.Add(time.Hour)
			wantJobs(t, f.badly(t, now, "Item size"), false, map[outcome]int{failed: 1, settled: 2})
			f.want(t, ids[0], media.Queued, now.Add(30*time.Minute))
			wantJobs(t, f.well(t, now.Add(30*time.Minute)), false, map[outcome]int{settled: 1})
		})
	})
	t.Run("writes", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
			for i := range 3 * maxInARow {
				f.dispatched(t, fmt.Sprint(i), start)
			}
			f.Fail(handlertest.Operation("UpdateItem"), &endpoint.Fault{Type: "AccessDeniedException", Message: "no"})
			s := f.badly(t, start.Add(time.Hour), "allow the role dynamodb:UpdateItem", "failed in a row")
			wantJobs(t, s, true, map[outcome]int{failed: maxInARow})
		})
	})
}

// Start-up counts for dispatch, which was measured: sweep links nothing beside
// what dispatch links.
func TestInitStaysLight(t *testing.T) {
	t.Parallel()
	linked := func(name string) []string {
		out, err := exec.Command("go", "list", "-deps", "ittybit-media/handlers/"+name).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	known := append(linked("dispatch"), "ittybit-media/handlers/record", "ittybit-media/handlers/sweep")
	for _, name := range linked("sweep") {
		if !slices.Contains(known, name) {
			t.Errorf("sweep links %s, dispatch does not", name)
		}
	}
}

func TestWireNamesTheVariable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, value := range map[string]string{
		env.TableName: "", env.IttybitAPIKeySecret: "", env.IttybitAPIURL: "http://example.com",
		env.OverdueAfter: "soon", env.GiveUpAfter: "-1h", "AWS_REGION": "",
	} {
		_, err := wire(w.env.With(name, value).Get)
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "private") {
			t.Errorf("%s = %q: %v", name, value, err)
		}
	}
}

func TestWireUsesTheEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Parameters.Set("/ittybit/key", apiKey)
	synctest.Test(t, func(t *testing.T) {
		f := w.deploy(t, env.OverdueAfter, "1h", env.GiveUpAfter, "2h", env.ResultTTLDays, "30",
			env.IttybitAPIKeySecret, "", env.IttybitAPIKeyParam, "/ittybit/key")
		start := time.Now().UTC()
		id := f.dispatched(t, "a", start)
		f.well(t, start.Add(90*time.Minute))
		f.want(t, id, media.Processing, start.Add(2*time.Hour)) // half an hour overdue
		now := start.Add(2 * time.Hour)
		f.well(t, now)
		if row := f.want(t, id, media.InferredFailed, time.Time{}); int64(row.ExpiresAt) != now.AddDate(0, 0, 30).Unix() {
			t.Errorf("the row expires at %v", row.ExpiresAt)
		}
	})
}
