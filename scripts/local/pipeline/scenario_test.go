package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/lambda"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// wantDone checks that each of the uploads' jobs was made once and succeeded,
// and that each row has all that dispatch knows of its upload.
func (r *run) wantDone(keys ...string) {
	r.t.Helper()
	for _, key := range keys {
		if !r.Succeeded(key) {
			r.t.Errorf("%q did not succeed: %+v", key, r.Rows(key))
		}
		r.WantOnce(key)
		for _, row := range r.Rows(key) {
			if row.Input == "" || row.ETag == "" || row.UploadedAt == 0 || row.DispatchedAt == 0 {
				r.t.Errorf("%q: the row of %s does not tell of its upload: %+v", key, row.Job, row)
			}
		}
	}
}

func (r *run) waiting() int {
	d := r.RetryQueue.Depth()
	return d.Visible + d.InFlight + d.Delayed
}

// down is what everybody gets while Ittybit is: at once, and without the
// functions' own pauses between tries.
var down = fakeittybit.Fault{Status: http.StatusServiceUnavailable, RetryAfter: "3600"}

func TestIttybitIsDownForTwoDays(t *testing.T) {
	t.Parallel()
	var w pipelinetest.Behaviour
	w.Mute.Store(true)
	r := start(t, w.Options)
	r.Put("before.mov", "x")
	r.Pass(10 * time.Minute)
	w.Fault(func(fakeittybit.Request) fakeittybit.Fault { return down })
	r.Put("a.mov", "x")
	r.Pass(24 * time.Hour)
	r.Put("b.mov", "x")
	r.Pass(24 * time.Hour)
	if r.waiting() != 2 {
		t.Errorf("%d uploads wait", r.waiting())
	}
	w.Fault(nil)
	w.Mute.Store(false)
	// A job without a callback is asked for every six hours by then.
	r.Pass(6*time.Hour + 30*time.Minute)
	r.wantDone("before.mov", "a.mov", "b.mov")
	if n := r.waiting() + len(r.DeadLetter.Messages()); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

func TestIttybitIsDownForLongerThanTheQueueTries(t *testing.T) {
	t.Parallel()
	var w pipelinetest.Behaviour
	r := start(t, w.Options)
	r.Put("before.mov", "x")
	r.Pass(10 * time.Minute)
	w.Fault(func(fakeittybit.Request) fakeittybit.Fault { return down })
	keys := []string{"a.mov", "b.mov", "c.mov"}
	for _, key := range keys {
		r.Put(key, "x")
	}
	r.Pass(80 * time.Hour)
	w.Fault(nil)
	r.Put("after.mov", "x")
	r.Pass(time.Hour)
	var dead []string
	for _, m := range r.DeadLetter.Messages() {
		for _, key := range keys {
			if strings.Contains(m.Body, `"`+key+`"`) {
				dead = append(dead, key)
			}
		}
	}
	if len(dead) != len(keys) || r.waiting() != 0 {
		t.Errorf("dead letters of %q, %d waiting", dead, r.waiting())
	}
	for _, key := range keys {
		if rows := r.Rows(key); len(rows) != 0 {
			t.Errorf("%q has rows %+v", key, rows)
		}
	}
	r.wantDone("before.mov", "after.mov")
}

// With a wrong key Ittybit refuses, with another account's it knows no job.
// Neither says anything of ours.
func TestAWrongKeyEndsNoRow(t *testing.T) {
	t.Parallel()
	var w pipelinetest.Behaviour
	w.Mute.Store(true)
	r := start(t, w.Options)
	r.Put("before.mov", "x")
	r.Pass(10 * time.Minute)
	r.Ittybit.SetKeys("another key")
	r.Put("meanwhile.mov", "x")
	r.Pass(24 * time.Hour)
	if r.Sweep.Stats().Failures == 0 {
		t.Error("sweep never failed, though its key is refused")
	}
	r.RotateAPIKey()
	w.Fault(func(q fakeittybit.Request) fakeittybit.Fault {
		if q.Op == fakeittybit.Get {
			return fakeittybit.Fault{Status: http.StatusNotFound, Kind: "job_not_found"}
		}
		return down
	})
	r.Pass(24 * time.Hour)
	for _, row := range r.Rows("before.mov") {
		if row.Open == "" {
			t.Errorf("a row ended: %+v", row)
		}
	}
	if rows := r.Rows("meanwhile.mov"); len(rows) != 0 {
		t.Errorf("rows %+v", rows)
	}
	w.Fault(nil)
	w.Mute.Store(false)
	r.Pass(6*time.Hour + 30*time.Minute)
	r.wantDone("before.mov", "meanwhile.mov")
}

func TestEveryCallbackIsLost(t *testing.T) {
	t.Parallel()
	var w pipelinetest.Behaviour
	w.Mute.Store(true)
	var o pipeline.Options
	r := startWith(t, func(options *pipeline.Options) {
		pipelinetest.WithIttybit(options, w.Options)
		o = *options
	})
	var keys []string
	for i := range 6 {
		keys = append(keys, fmt.Sprintf("%d.mov", i))
		r.Put(keys[i], "x")
	}
	r.Pass(o.Stack.OverdueAfter - time.Minute)
	for _, key := range keys {
		if r.Succeeded(key) {
			t.Errorf("%q was asked for before it was overdue", key)
		}
	}
	r.Pass(time.Minute + o.Stack.SweepInterval)
	r.wantDone(keys...)
}

func TestADayHasItsLimit(t *testing.T) {
	t.Parallel()
	const limit = 6
	r := startWith(t, func(o *pipeline.Options) { o.Stack.DailyJobLimit = limit })
	if untilMidnight := 24*time.Hour - r.Clock.Now().UTC().Sub(r.Clock.Now().UTC().Truncate(24*time.Hour)); untilMidnight < 2*time.Hour {
		r.Pass(untilMidnight + time.Minute)
	}
	keys := []string{"a.mov", "b.mov", "c.mov", "d.mov"}
	for _, key := range keys {
		r.Put(key, "x")
		r.Pass(time.Minute)
	}
	r.Pass(time.Hour)
	if n := len(r.Ittybit.Jobs()); n != limit {
		t.Errorf("%d jobs on a day that has %d", n, limit)
	}
	if r.waiting() != 2 {
		t.Errorf("%d uploads wait, want 2", r.waiting())
	}
	r.Pass(24*time.Hour + 15*time.Minute)
	r.wantDone(keys...)
	if r.waiting() != 0 {
		t.Errorf("%d uploads wait", r.waiting())
	}
}

// gap is where dispatch is killed: at one of the calls that it makes for an
// upload, before the call takes effect, or after that and before the answer
// comes.
type gap struct {
	call  int // from 1; 0: nowhere
	after bool
}

// reaper kills dispatch in a gap.
type reaper struct {
	mu    sync.Mutex
	gap   gap
	calls int // so far
}

func (g *reaper) set(at gap) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gap, g.calls = at, 0
}

// call counts one, and tells whether dispatch is killed at it, and whether the
// call takes effect.
func (g *reaper) call(dispatch *lambda.Function) (killed, effect bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	if g.calls != g.gap.call {
		return false, true
	}
	dispatch.KillAt(func([]byte) bool { return true })
	return true, g.gap.after
}

func TestDispatchIsKilledInEveryGap(t *testing.T) {
	t.Parallel()
	// With a callback as fast as can be, its row is there before dispatch's; with
	// none, sweep has to find what dispatch has noted.
	for name, mute := range map[string]bool{"callbacks at once": false, "no callbacks": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killInEveryGap(t, mute)
		})
	}
}

func killInEveryGap(t *testing.T, mute bool) {
	var g reaper
	var w pipelinetest.Behaviour
	w.Mute.Store(mute)
	r := startWith(t, func(o *pipeline.Options) {
		o.Stack.DailyJobLimit = 10000 // counting is a side effect, too
		pipelinetest.WithIttybit(o, w.Options)
	})
	w.Fault(func(q fakeittybit.Request) fakeittybit.Fault {
		if q.Op == fakeittybit.Get { // sweep's
			return fakeittybit.Fault{}
		}
		killed, effect := g.call(r.Dispatch)
		return fakeittybit.Fault{Cut: killed, Accept: effect}
	})
	r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.AccessKey != pipeline.AccessKey("dispatch") || c.Service != endpoint.ServiceDynamoDB {
			return nil
		}
		if _, effect := g.call(r.Dispatch); !effect {
			return errors.New("the caller is gone")
		}
		return nil
	})
	var keys []string
	put := func(at gap) {
		r.Dispatch.Kill() // a new process has read nothing yet
		g.set(at)
		keys = append(keys, fmt.Sprintf("%d-%t.mov", at.call, at.after))
		r.Put(keys[len(keys)-1], "x")
		r.Quiet()
	}
	put(gap{})
	const all = 1 + 1 + 3 + 3 + 1 // rows and count read, jobs, rows and count written
	if g.calls < all {
		t.Fatalf("dispatch makes %d calls, want at least %d", g.calls, all)
	}
	for n := 1; n <= all; n++ {
		put(gap{n, false})
		put(gap{n, true})
	}
	if failures := r.Dispatch.Stats().Failures; failures != len(keys)-1 || r.waiting() != failures {
		t.Fatalf("dispatch was killed %d times and %d uploads wait, of %d", failures, r.waiting(), len(keys)-1)
	}
	g.set(gap{})
	r.Pass(media.RetryDelay)
	if r.waiting() != 0 {
		t.Errorf("%d uploads wait", r.waiting())
	}
	if mute {
		r.Pass(time.Hour)
	}
	r.wantDone(keys...)
}

func TestEventsComeWhenTheyAreSaidTo(t *testing.T) {
	t.Parallel()
	r := startWith(t, func(o *pipeline.Options) {
		o.Deliveries = func(u media.Upload) []time.Duration {
			if u.Key == "late.mov" {
				return []time.Duration{time.Hour}
			}
			return []time.Duration{0, 0, time.Minute}
		}
	})
	r.Put("late.mov", "x")
	r.Put("doubled.mov", "x")
	r.Pass(5 * time.Minute)
	r.wantDone("doubled.mov")
	if rows := r.Rows("late.mov"); len(rows) != 0 || r.Pending() != 1 {
		t.Errorf("%d rows before the event came, %d pending", len(rows), r.Pending())
	}
	r.Pass(time.Hour)
	r.wantDone("late.mov")
	if r.Pending() != 0 {
		t.Errorf("%d pending in the end", r.Pending())
	}
}

func TestSweepRunsAtOnceWhenAsked(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for range 2 {
		result, err := r.RunSweep(t.Context())
		if err != nil || result.FunctionError != "" {
			t.Fatalf("%v %s", err, result.Payload)
		}
	}
	for name := range r.AWS.Calls() {
		if strings.HasSuffix(name, ".Scan") {
			t.Errorf("somebody made %s", name)
		}
	}
	if n := r.AWS.Calls()["DynamoDB.Query"]; n != 2 {
		t.Errorf("%d queries, want one for each run", n)
	}
}
