package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
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

// Interrupted while it does not know whether Lambda took an object, the next
// run begins with that one.
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
				if r.Code != cli.ExitFailed || !strings.HasSuffix(r.Stderr, "backfill: interrupted\n") || r.summary.Stopped != "interrupted" || r.summary.Finished || len(r.lines) != at-1 {
					t.Fatalf("%d: %+v\n%s", r.Code, r.summary, r.Stderr)
				}
				if c := w.saved(); c.Tally.Sent != int64(at-1) || at > 1 && c.After != keys[at-2] {
					t.Errorf("the checkpoint is behind %q: %+v", c.After, c.Tally)
				}
				if wait { // until the table has what the lost answer was about
					w.Quiet()
				}
				again := w.well()
				if at > 1 && !strings.Contains(again.Stderr, "Going on behind "+keys[at-2]+", where a run ended that began at ") {
					t.Errorf("it does not say where it goes on: %s", again.Stderr)
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
			if r := w.do(t.Context(), fast, "-yes", fmt.Sprintf("-checkpoint=%s%d", w.checkpoint, i)); r.Code != cli.ExitOK {
				t.Errorf("%d\n%s", r.Code, r.Stderr)
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
	nowhere := []string{"-checkpoint", filepath.Join(w.AccessFile, "below a file")}
	if r := w.want(cli.ExitFailed, nowhere...); !strings.Contains(r.Stderr, "how far an earlier run came cannot be read") {
		t.Error(r.Stderr)
	}
	if r := w.want(cli.ExitFailed, append(nowhere, "-restart")...); !strings.Contains(r.Stderr, "how far it has come cannot be written") {
		t.Error(r.Stderr)
	}
	if w.invocations() > 0 {
		t.Error("something is sent although nobody could go on from there")
	}
	w.well("-limit", "1")
	if r := w.want(cli.ExitUsage, "-suffix", ".mov"); !strings.Contains(r.Stderr, w.checkpoint+" is of another stack, routes or selection") {
		t.Error(r.Stderr)
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
	if r := w.want(cli.ExitUsage); !strings.Contains(r.Stderr, w.checkpoint+" is no checkpoint") || !strings.Contains(r.Stderr, "-restart begins anew") {
		t.Error(r.Stderr)
	}
	if w.invocations() != 1 {
		t.Errorf("%d objects were sent", w.invocations())
	}
	w.well("-restart")
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
			if r.Code != cli.ExitFailed || !strings.Contains(r.Stderr, "backfill: "+tt.want) || !strings.Contains(r.Stderr, "these credentials may not do it") {
				t.Errorf("%d: %s", r.Code, r.Stderr)
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
