package sweeper

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
)

// Jobs are asked for in the order in which they became due, over all pages of
// the index, and nothing but the index is read.
func TestOrderOverPagesOfTheIndex(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		pages := &handlertest.Paged{Client: f.DynamoDB, T: t, Size: 2}
		f.Handler.jobs = results.New(pages, tableName, results.Options{})
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
		if want := slices.Repeat([]string{results.OpenIndex}, jobs/2+1); !slices.Equal(pages.Indexes, want) {
			t.Errorf("queries of %v, want %v: a page of 2 each", pages.Indexes, want)
		}
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
		"quick": {takes: 0, asked: media.SweepRate * seconds, lasts: media.SweepTimeout - reserveToAsk},
		"slow":  {takes: time.Second, asked: media.SweepConcurrency * seconds, lasts: media.SweepTimeout - reserveToAsk + time.Second},
		"hangs": {takes: time.Hour, asked: media.SweepConcurrency, lasts: media.SweepTimeout - reserveToWrite},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
				work := &endless{}
				f.Handler.jobs = work
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
				f.Handler.ittybit = asking{f.Handler.ittybit, func(ctx context.Context, id string) (media.Result, error) {
					count(1)
					defer count(-1)
					select {
					case <-ctx.Done():
						return media.Result{}, ctx.Err()
					case <-time.After(tt.takes):
						return media.Result{JobID: id, State: media.Processing}, nil
					}
				}}

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

// Jobs that always fail, however many, keep no other job from being settled in
// the same run, as long as Ittybit answers a list.
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
				wantJobs(t, s, false, map[outcome]int{failed: bad, settled: len(good)})
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

// Requests under way are cut off when the run ends, and their jobs are due later
// as all that were asked for.
func TestRequestsUnderWayAreCutOff(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		slow := f.dispatched(t, "slow", start)
		locked := f.dispatched(t, "locked", start.Add(time.Second))
		f.Handler.ittybit = asking{f.Handler.ittybit, func(ctx context.Context, id string) (media.Result, error) {
			if id == locked {
				return media.Result{}, &ittybit.Error{Status: http.StatusUnauthorized}
			}
			<-ctx.Done()
			return media.Result{}, ctx.Err()
		}}
		f.status(http.StatusUnauthorized)
		now := start.Add(time.Hour)
		wantJobs(t, f.badly(t, now, "check the API key"), true, map[outcome]int{failed: 1})
		f.want(t, slow, media.Queued, now.Add(30*time.Minute))
		f.want(t, locked, media.Queued, now.Add(30*time.Minute-time.Second))
		if time.Since(start) > time.Second {
			t.Errorf("it took %v", time.Since(start))
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
		next := f.Handler.ittybit
		f.Handler.ittybit = asking{f.Handler.ittybit, func(ctx context.Context, id string) (media.Result, error) {
			if slices.Contains(broken, id) {
				return media.Result{}, &ittybit.Error{Op: "get job", Status: http.StatusBadGateway}
			}
			return next.Get(ctx, id)
		}}
		wantJobs(t, f.badly(t, start.Add(time.Hour), "HTTP 502"), false, map[outcome]int{failed: each, open: each})
	})
}
