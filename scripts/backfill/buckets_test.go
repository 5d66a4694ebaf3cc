package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/pipeline"
)

// late are the events of uploads that are delivered when the test says so.
type late struct {
	mu     sync.Mutex
	events [][]byte
}

// holdBack has the events of keys with a mark wait.
func (l *late) holdBack(mark string) func(*pipeline.Options) {
	return func(o *pipeline.Options) {
		o.Observe = func(s pipeline.Step) {
			if s.Kind == pipeline.Uploaded && strings.Contains(s.Upload.Key, mark) {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.events = append(l.events, s.Event)
			}
		}
		o.Deliveries = func(u media.Upload) []time.Duration {
			if strings.Contains(u.Key, mark) {
				return nil
			}
			return []time.Duration{0}
		}
	}
}

// However a bucket keeps versions, an object is one upload to its event and to
// backfill, whichever comes first.
func TestEventsAndBackfillMeanTheSameUpload(t *testing.T) {
	t.Parallel()
	const enabled, suspended = types.BucketVersioningStatusEnabled, types.BucketVersioningStatusSuspended
	for name, states := range map[string][]types.BucketVersioningStatus{
		"none":      {},
		"kept":      {enabled},
		"suspended": {enabled, suspended},
		"and again": {enabled, suspended, enabled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l late
			w := start(t, l.holdBack("late"))
			var keys []string
			put := func(state string) {
				for _, when := range []string{"early", "late"} {
					key := fmt.Sprintf("%s, %s.mov", state, when)
					keys = append(keys, key)
					w.Put(key, "of "+key)
				}
			}
			put("0 from before")
			for i, state := range states {
				w.versioning(state)
				put(fmt.Sprintf("%d %s", i+1, state))
			}
			w.Quiet()

			r := w.well()
			if n := int64(len(keys) / 2); r.summary.Sent != n || r.summary.Skipped[media.SkipHaveJobs] != n {
				t.Errorf("%+v", r.summary)
			}
			for _, line := range r.lines {
				if hasID := strings.Contains(line.Key, string(enabled)); hasID != (line.VersionID != "") {
					t.Errorf("%q has the version %q", line.Key, line.VersionID)
				}
			}
			w.Quiet()
			for _, event := range l.events {
				w.Deliver(event)
			}
			w.wantOnce(keys...)
		})
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.versioning(types.BucketVersioningStatusEnabled)
	w.before("back.mov", "gone.mov", "twice.mov")
	w.Remove("back.mov")
	w.Remove("gone.mov")
	w.before("back.mov", "twice.mov")

	r := w.well()
	if want := map[string]int64{skipOld: 3, skipMarker: 2}; !slices.Equal(r.keys(), []string{"back.mov", "twice.mov"}) || !maps.Equal(r.summary.Skipped, want) {
		t.Errorf("the current ones: %q, skipped %v", r.keys(), r.summary.Skipped)
	}
	w.wantOnce("back.mov", "twice.mov")

	r = w.well("-versions")
	if want := map[string]int64{media.SkipHaveJobs: 2, skipHidden: 1, skipMarker: 2}; !slices.Equal(r.keys(), []string{"back.mov", "twice.mov"}) || !maps.Equal(r.summary.Skipped, want) {
		t.Errorf("the older ones: %q, skipped %v", r.keys(), r.summary.Skipped)
	}
	if text := "2 older versions: Ittybit is given keys and not versions, and reads the newest bytes"; !strings.Contains(r.Stderr, "4 to send") || !strings.Contains(r.Stderr, text) {
		t.Errorf("it does not say %q: %s", text, r.Stderr)
	}
	w.Quiet()
	jobs := map[string]int{}
	for _, job := range w.Ittybit.Jobs() {
		jobs[job.Input+" "+job.Metadata["upload"]+" "+job.Metadata["job"]]++
	}
	if len(jobs) != 4*3 || slices.Max(slices.Collect(maps.Values(jobs))) != 1 {
		t.Errorf("%v", jobs)
	}
}

// A run that ended between two versions of a key begins with that key again.
func TestInterruptedAmongVersions(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.versioning(types.BucketVersioningStatusEnabled)
	w.before("a.mov", "b.mov", "b.mov", "b.mov", "c.mov")
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if isInvoke(c) && c.Ordinal == 3 {
			return &endpoint.Fault{Type: "AccessDeniedException", Message: "no longer", Status: http.StatusForbidden}
		}
		return nil
	})
	if r := w.want(cli.ExitFailed, "-versions"); !slices.Equal(r.keys(), []string{"a.mov", "b.mov"}) || w.saved().After != "a.mov" || w.saved().Tally.Sent != 1 {
		t.Errorf("%q, behind %q", r.keys(), w.saved().After)
	}
	w.AWS.Intercept(nil)
	w.Quiet()
	if r := w.well("-versions"); !slices.Equal(r.keys(), []string{"b.mov", "b.mov", "c.mov"}) || r.summary.Objects != 5 {
		t.Errorf("%q, %+v", r.keys(), r.summary)
	}
	w.Quiet()
	if n := len(w.Ittybit.Jobs()); n != 5*3 {
		t.Errorf("%d jobs", n)
	}
}

// A page has a thousand entries; keys and their versions go on in the next one.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, versioned := range []bool{false, true} {
		t.Run(fmt.Sprint(versioned), func(t *testing.T) {
			t.Parallel()
			w := start(t, nil)
			if versioned {
				w.versioning(types.BucketVersioningStatusEnabled)
			}
			first, then := numbered(2100)[:999], numbered(2100)[999:]
			w.before(first...)
			want := slices.Concat(first, then)
			if versioned {
				for range 5 { // 999 entries, then its marker and some versions
					w.before(then[0])
				}
				w.Remove(then[0])
				w.before(then[1:]...)
				want = slices.Delete(want, len(first), len(first)+1)
			} else {
				w.before(then...)
			}
			for _, more := range [][]string{{}, {"-versions"}} {
				r := w.well(append(more, "-dry-run")...)
				if got := r.keys(); !slices.Equal(got, want) {
					t.Errorf("%v: %d of %d keys", more, len(got), len(want))
				}
				if versioned && (r.summary.Skipped[skipMarker] != 1 || r.summary.Skipped[skipOld]+r.summary.Skipped[skipHidden] != 5) {
					t.Errorf("%v: %v", more, r.summary.Skipped)
				}
			}
		})
	}
}
