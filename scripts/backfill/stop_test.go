package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/operator"
	"ittybit-media/scripts/local/aws/endpoint"
	locals3 "ittybit-media/scripts/local/aws/s3"
)

// saved is the checkpoint that a run left.
func (w *world) saved() checkpoint {
	w.t.Helper()
	text, err := os.ReadFile(w.checkpoint)
	if err != nil {
		w.t.Fatal(err)
	}
	var c checkpoint
	if err := json.Unmarshal(text, &c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// Interrupted while it does not know whether Lambda took an object, the next run
// begins with that one.
func TestInterruptedAndStartedAgain(t *testing.T) {
	t.Parallel()
	const objects = 12
	for _, at := range []int{1, 6, objects} {
		for _, wait := range []bool{false, true} {
			t.Run(fmt.Sprint(at, wait), func(t *testing.T) {
				t.Parallel()
				w := start(t, nil)
				keys := numbered(objects)
				w.before(keys...)
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
					if isInvoke(c) && c.Ordinal == at {
						interrupt()
						return lost()
					}
					return nil
				})
				r := w.do(ctx, fast, "-yes", "-json")
				if r.code != operator.ExitFailed || !strings.HasSuffix(r.stderr, "backfill: interrupted\n") || r.summary.Stopped != "interrupted" || r.summary.Finished || len(r.lines) != at-1 {
					t.Fatalf("%d: %+v\n%s", r.code, r.summary, r.stderr)
				}
				if c := w.saved(); c.Tally.Sent != int64(at-1) || at > 1 && c.After != keys[at-2] {
					t.Errorf("the checkpoint is behind %q: %+v", c.After, c.Tally)
				}
				if wait { // until the table has what the lost answer was about
					w.Quiet()
				}
				again := w.well()
				if at > 1 && !strings.Contains(again.stderr, "Going on behind "+keys[at-2]+", where a run ended that began at ") {
					t.Errorf("it does not say where it goes on: %s", again.stderr)
				}
				least := objects - at // and the one that Lambda took, if the table knows nothing of it yet
				if s := again.summary; len(again.lines) < least || wait && len(again.lines) > least || s.Objects != objects || s.Sent+s.Skipped[media.SkipHaveJobs] != objects || !s.Finished {
					t.Errorf("%d sent: %+v", len(again.lines), s)
				}
				w.wantOnce(keys...)
			})
		}
	}
}

// Whatever is sent twice while dispatch works on it gets its jobs once.
func TestTwoRunsAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	keys := numbered(30)
	w.before(keys...)
	var runs sync.WaitGroup
	for i := range 2 {
		runs.Go(func() {
			if r := w.do(t.Context(), fast, "-yes", fmt.Sprintf("-checkpoint=%s%d", w.checkpoint, i)); r.code != operator.ExitOK {
				t.Errorf("%d\n%s", r.code, r.stderr)
			}
		})
	}
	runs.Wait()
	w.wantOnce(keys...)
}

func TestThrottledAndLostAnswers(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	keys := numbered(12)
	w.before(keys...)
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		switch {
		case isInvoke(c) && c.Ordinal%4 == 0:
			return lost()
		case c.AccessKey == w.AccessKey && c.Ordinal%7 == 1:
			return endpoint.Throttled(c)
		}
		return nil
	})
	if r := w.well(); r.summary.Sent != 12 {
		t.Errorf("%+v", r.summary)
	}
	w.AWS.Intercept(nil)
	w.wantOnce(keys...)
}

func TestLimit(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	keys := numbered(5)
	w.before(keys...)
	args := []string{"-limit", "2"}
	for _, key := range keys { // those that are done are not even listed again
		args = append(args, "-prefix", key)
	}
	var got []string
	for i := range 3 {
		r := w.well(args...)
		got = append(got, r.keys()...)
		last := i == 2
		if r.summary.Objects != int64(len(got)) || r.summary.Finished != last || (r.summary.Stopped == "-limit") == last || r.summary.Sent != int64(len(got)) {
			t.Errorf("%+v", r.summary)
		}
	}
	if !slices.Equal(got, keys) {
		t.Errorf("sent %q", got)
	}
	w.wantOnce(keys...)
}

func TestCheckpoints(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	keys := numbered(3)
	w.before(keys...)
	nowhere := []string{"-checkpoint", filepath.Join(w.access, "below a file")}
	if r := w.want(operator.ExitFailed, nowhere...); !strings.Contains(r.stderr, "how far an earlier run came cannot be read") {
		t.Error(r.stderr)
	}
	if r := w.want(operator.ExitFailed, append(nowhere, "-restart")...); !strings.Contains(r.stderr, "how far it has come cannot be written") {
		t.Error(r.stderr)
	}
	if w.invocations() > 0 {
		t.Error("something is sent although nobody could go on from there")
	}
	w.well("-limit", "1")
	if r := w.want(operator.ExitUsage, "-suffix", ".mov"); !strings.Contains(r.stderr, w.checkpoint+" is of another stack, routes or selection") {
		t.Error(r.stderr)
	}
	w.Quiet()
	if r := w.well("-restart", "-dry-run"); r.summary.Skipped[media.SkipHaveJobs] != 1 || !slices.Equal(r.keys(), keys[1:]) {
		t.Errorf("anew: %+v", r.summary)
	}
	if c := w.saved(); c.After != keys[0] {
		t.Errorf("a dry run moves the checkpoint to %q", c.After)
	}
	if err := os.WriteFile(w.checkpoint, []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := w.want(operator.ExitUsage); !strings.Contains(r.stderr, w.checkpoint+" is no checkpoint") || !strings.Contains(r.stderr, "-restart begins anew") {
		t.Error(r.stderr)
	}
	if w.invocations() != 1 {
		t.Errorf("%d objects were sent", w.invocations())
	}
	w.well("-restart")
	w.wantOnce(keys...)
}

// Requests that are sent again count, too.
func TestTheRateIsNeverExceeded(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.before(numbered(3)...)
	var mu sync.Mutex
	var calls []time.Time
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if !isInvoke(c) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if calls = append(calls, time.Now()); len(calls)%4 != 0 {
			return &endpoint.Fault{Type: "ServiceException", Status: http.StatusInternalServerError}
		}
		return nil
	})
	const rate, late = 10, 250 * time.Millisecond // late is how much the first call may be delayed on its way
	r := w.do(t.Context(), "-yes", "-rate", fmt.Sprint(rate))
	if r.code != operator.ExitOK || len(calls) != 12 {
		t.Fatalf("%d, %d calls\n%s", r.code, len(calls), r.stderr)
	}
	if took, least := calls[11].Sub(calls[0]), 11*time.Second/rate; took < least-late {
		t.Errorf("%d calls in %v, which is under %v", len(calls), took, least)
	}
}

// noon moves the clock to a time at which the day does not end soon.
func (w *world) noon() {
	now := w.Clock.Now().UTC()
	w.Clock.Advance(day(now).AddDate(0, 0, 1).Add(12 * time.Hour).Sub(now))
}

func TestTheDaysLimit(t *testing.T) {
	t.Parallel()
	w := start(t, configured(t, map[string]any{"dailyJobLimit": 30}))
	keys := numbered(20)
	w.before(keys...)
	w.noon()
	for i, want := range []int{9, 9, 2} {
		code := map[bool]int{true: operator.ExitFailed, false: operator.ExitOK}[i < 2]
		r := w.want(code)
		if len(r.lines) != want {
			t.Errorf("day %d: %d sent: %+v\n%s", i, len(r.lines), r.summary, r.stderr)
		}
		if i == 0 && !strings.Contains(r.stderr, "Limit: the stack makes 30 new jobs a day (dailyJobLimit), and has made 0 today.") || i == 0 && !strings.Contains(r.stderr, "That makes 3 days.") {
			t.Errorf("it is not said before: %s", r.stderr)
		}
		if i < 2 && !strings.Contains(r.stderr, "backfill: 27 of the day's 30 new jobs (dailyJobLimit) are made, and the others are for live uploads: go on after midnight UTC, in 12 h") {
			t.Errorf("day %d: %s", i, r.stderr)
		}
		if i == 0 {
			w.Quiet()
			if r := w.want(operator.ExitFailed); len(r.lines) > 0 {
				t.Errorf("the same day again: %+v", r.lines)
			}
			w.Put("live.mov", "x")
			w.Until("the live upload has its jobs", func() bool { return w.Succeeded("live.mov") })
		}
		w.Clock.Advance(24 * time.Hour)
	}
	w.wantOnce(append([]string{"live.mov"}, keys...)...)
	if depth := w.RetryQueue.Depth(); depth.Visible+depth.InFlight+depth.Delayed > 0 {
		t.Errorf("the retry queue has %+v", depth)
	}
}

// After the rows are lost, dispatch finds their jobs at Ittybit: the day's limit is
// of new ones.
func TestJobsThatAreFoundAreNotOfTheDaysLimit(t *testing.T) {
	t.Parallel()
	w := start(t, configured(t, map[string]any{"dailyJobLimit": 30}))
	keys := numbered(9)
	w.before(keys...)
	w.noon()
	w.well()
	w.Quiet()
	for _, key := range keys {
		for _, row := range w.Rows(key) {
			if ok, err := w.Results.Delete(t.Context(), w.DynamoDB(), row); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
	}
	w.before("new.mov")
	w.Clock.Advance(24 * time.Hour)
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Operation == "GetItem" && c.AccessKey == w.AccessKey { // it reads the day's count
			w.Clock.Advance(media.DispatchTimeout / 2)
		}
		return nil
	})
	if r := w.well(); r.summary.Sent != 10 {
		t.Errorf("%+v", r.summary)
	}
	w.AWS.Intercept(nil)
	w.Quiet()
	if n := len(w.Ittybit.Jobs()); n != 30 {
		t.Errorf("%d jobs", n)
	}
	for _, key := range append(keys, "new.mov") {
		if n := len(w.Rows(key)); n != 3 {
			t.Errorf("%q: %d rows", key, n)
		}
	}
}

// listener calls heard for each time that somebody writes the text.
type listener struct {
	text  string
	heard func()
}

func (l listener) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(l.text)) {
		l.heard()
	}
	return len(p), nil
}

func TestWaitingForTheNextDay(t *testing.T) {
	t.Parallel()
	w := start(t, configured(t, map[string]any{"dailyJobLimit": 30}))
	keys := numbered(20)
	w.before(keys...)
	w.noon()
	var waits atomic.Int64
	stderr := listener{"waiting until", func() {
		waits.Add(1)
		go func() {
			if err := w.Pipeline.Quiet(t.Context()); err == nil { // the day's jobs count for the day
				w.Clock.Advance(24 * time.Hour)
			}
		}()
	}}
	ctx, cancel := context.WithTimeout(operator.WithClock(t.Context(), w.Clock.Now), time.Minute)
	defer cancel()
	code := script.Run(ctx, []string{"-local=" + w.access, "-checkpoint=" + w.checkpoint, fast, "-yes", "-wait"}, strings.NewReader(""), io.Discard, stderr)
	if code != operator.ExitOK || waits.Load() != 2 {
		t.Errorf("exit code %d after %d days", code, waits.Load())
	}
	w.wantOnce(keys...)
}

func TestInterruptedWhileItWaits(t *testing.T) {
	t.Parallel()
	w := start(t, configured(t, map[string]any{"dailyJobLimit": 3}))
	w.before(numbered(2)...)
	w.noon()
	ctx, interrupt := context.WithCancel(operator.WithClock(t.Context(), w.Clock.Now))
	defer interrupt()
	code := script.Run(ctx, []string{"-local=" + w.access, "-checkpoint=" + w.checkpoint, fast, "-yes", "-wait"}, strings.NewReader(""), io.Discard, listener{"waiting until", interrupt})
	if code != operator.ExitFailed || w.saved().After != numbered(1)[0] {
		t.Errorf("exit code %d, behind %q", code, w.saved().After)
	}
}

func TestItStopsWhenTheRetryQueueGrows(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	keys := numbered(160)
	w.before(keys...)
	w.Ittybit.SetKeys("another")
	w.AWS.Intercept(func(ctx context.Context, c endpoint.Call) error {
		if isInvoke(c) && c.Ordinal%lookEvery == 0 { // what failed is in the queue by then
			return w.Dispatch.Idle(ctx)
		}
		return nil
	})
	r := w.want(operator.ExitFailed)
	if n := len(r.lines); n <= tolerance || n > tolerance+2*lookEvery {
		t.Errorf("%d objects were sent", n)
	}
	if !strings.Contains(r.stderr, "the retry queue has grown by") || !strings.Contains(r.stderr, "go run ./scripts/jobs -local=") || !strings.HasPrefix(r.summary.Stopped, "the retry queue has grown by") {
		t.Errorf("%+v\n%s", r.summary, r.stderr)
	}
	w.AWS.Intercept(nil)
	w.RotateAPIKey()
	w.Pass(media.RetryVisibility)
	w.well()
	w.wantOnce(keys...)
}

func TestWhatAWSDenies(t *testing.T) {
	t.Parallel()
	denied := func(operation string) func(*world) {
		return func(w *world) {
			w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
				if c.Operation == operation && c.AccessKey == w.AccessKey {
					return &endpoint.Fault{Type: "AccessDeniedException", Message: "not you"}
				}
				return nil
			})
		}
	}
	bucket := func(parameter string) func(*world) {
		return func(w *world) {
			w.Objects.Intercept(func(r *http.Request) *locals3.Fault {
				if !r.URL.Query().Has(parameter) {
					return nil
				}
				return &locals3.Fault{Code: "AccessDenied", Message: "Access Denied", Status: http.StatusForbidden}
			})
		}
	}
	for name, tt := range map[string]struct {
		deny func(*world)
		want string
	}{
		"its versioning": {bucket("versioning"), "asking for the versioning of s3://my-media-bucket"},
		"its list":       {bucket("list-type"), "listing s3://my-media-bucket"},
		"the day's jobs": {denied("GetItem"), "table results: reading the day's count of jobs"},
		"the rows":       {denied("Query"), "table results: reading the rows of an upload"},
		"the queue":      {denied("GetQueueAttributes"), "counting the messages of http://"},
		"dispatch":       {denied("Invoke"), "handing films/00000.mov to dispatch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, nil)
			w.before(numbered(2)...)
			tt.deny(w)
			r := w.do(t.Context(), fast, "-yes")
			if r.code != operator.ExitFailed || !strings.Contains(r.stderr, "backfill: "+tt.want) || !strings.Contains(r.stderr, "these credentials may not do it") {
				t.Errorf("%d: %s", r.code, r.stderr)
			}
			if len(w.Ittybit.Jobs()) > 0 {
				t.Error("there are jobs all the same")
			}
			w.AWS.Intercept(nil)
			w.Objects.Intercept(nil)
			w.well()
			w.wantOnce(numbered(2)...)
		})
	}
}
