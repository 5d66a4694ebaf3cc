package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/endpoint"
)

// Requests that are sent again count, too: here, each is sent twice.
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
		if calls = append(calls, time.Now()); len(calls)%2 != 0 {
			return &endpoint.Fault{Type: "ServiceException", Status: http.StatusInternalServerError}
		}
		return nil
	})
	const rate, late = 2, 250 * time.Millisecond // late is how much a call may be delayed on its way
	r := w.do(t.Context(), "-yes", "-rate", fmt.Sprint(rate))
	if r.Code != cli.ExitOK || len(calls) != 6 {
		t.Fatalf("%d, %d calls\n%s", r.Code, len(calls), r.Stderr)
	}
	for i, call := range calls[1:] {
		if after := call.Sub(calls[i]); after < time.Second/rate-late {
			t.Errorf("call %d is %v after the one before", i+2, after)
		}
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
		code := map[bool]int{true: cli.ExitFailed, false: cli.ExitOK}[i < 2]
		r := w.want(code)
		if len(r.lines) != want {
			t.Errorf("day %d: %d sent: %+v\n%s", i, len(r.lines), r.summary, r.Stderr)
		}
		if i == 0 && !strings.Contains(r.Stderr, "Limit: the stack makes 30 new jobs a day (dailyJobLimit), and has made 0 today.") || i == 0 && !strings.Contains(r.Stderr, "That makes 3 days.") {
			t.Errorf("it is not said before: %s", r.Stderr)
		}
		if i < 2 && !strings.Contains(r.Stderr, "backfill: 27 of the day's 30 new jobs (dailyJobLimit) are made, and the others are for live uploads: go on after midnight UTC, in 12 h") {
			t.Errorf("day %d: %s", i, r.Stderr)
		}
		if i == 0 {
			w.Quiet()
			if r := w.want(cli.ExitFailed); len(r.lines) > 0 {
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

// After the rows are lost, dispatch finds their jobs at Ittybit: the day's
// limit is of new ones.
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	code := w.DoTo(ctx, strings.NewReader(""), io.Discard, stderr, "-checkpoint="+w.checkpoint, fast, "-yes", "-wait")
	if code != cli.ExitOK || waits.Load() != 2 {
		t.Errorf("exit code %d after %d days", code, waits.Load())
	}
	w.wantOnce(keys...)
}

func TestInterruptedWhileItWaits(t *testing.T) {
	t.Parallel()
	w := start(t, configured(t, map[string]any{"dailyJobLimit": 3}))
	w.before(numbered(2)...)
	w.noon()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	code := w.DoTo(ctx, strings.NewReader(""), io.Discard, listener{"waiting until", interrupt}, "-checkpoint="+w.checkpoint, fast, "-yes", "-wait")
	if code != cli.ExitFailed || w.saved().After != numbered(1)[0] {
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
	r := w.want(cli.ExitFailed)
	if n := len(r.lines); n <= tolerance || n > tolerance+2*lookEvery {
		t.Errorf("%d objects were sent", n)
	}
	if !strings.Contains(r.Stderr, "the retry queue has grown by") || !strings.Contains(r.Stderr, "go run ./scripts/jobs -local=") || !strings.HasPrefix(r.summary.Stopped, "the retry queue has grown by") {
		t.Errorf("%+v\n%s", r.summary, r.Stderr)
	}
	w.AWS.Intercept(nil)
	w.RotateAPIKey()
	w.Pass(media.RetryVisibility)
	w.well()
	w.wantOnce(keys...)
}
