package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/pipeline"
)

// live are the events of some of the objects, as they come while a backfill
// runs: some at the very moment in which it sends the same object, the others
// whenever.
type live struct {
	mu       sync.Mutex
	same     map[string][]byte // by key
	whenever [][]byte
}

// observe takes the event of every tenth object.
func (l *live) observe(s pipeline.Step) {
	if s.Kind != pipeline.Uploaded || !strings.HasSuffix(s.Upload.Key, "7.mov") {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if rand.IntN(2) == 0 {
		l.same[s.Upload.Key] = s.Event
	} else {
		at := rand.IntN(len(l.whenever) + 1)
		l.whenever = append(l.whenever, s.Event)
		l.whenever[at], l.whenever[len(l.whenever)-1] = l.whenever[len(l.whenever)-1], l.whenever[at]
	}
}

// next are the events that come while a key is sent.
func (l *live) next(key string) (events [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if payload, ok := l.same[key]; ok {
		events = append(events, payload)
		delete(l.same, key)
	}
	if len(l.whenever) > 0 && rand.IntN(10) == 0 {
		events = append(events, l.whenever[0])
		l.whenever = l.whenever[1:]
	}
	return events
}

// rest are those that have not come yet.
func (l *live) rest() (events [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, payload := range l.same {
		events = append(events, payload)
	}
	return append(events, l.whenever...)
}

// Objects from before get exactly one of each job, although events of a tenth
// of them come meanwhile, and although the backfill is stopped half-way while
// it does not know what Lambda took.
func TestBackfillBesideLiveEvents(t *testing.T) {
	t.Parallel()
	objects := sizeOf(t, 400)
	l := live{same: map[string][]byte{}}
	w := start(t, func(o *pipeline.Options) {
		configured(t, map[string]any{"dailyJobLimit": 0, "routes": routes(t, `[{"suffixes":[".mov"],"jobs":[{"name":"video","kind":"video"},{"name":"thumbnail","kind":"image"}]}]`)})(o)
		o.Observe = l.observe
		o.Deliveries = func(media.Upload) []time.Duration { return nil }
	})
	keys := numbered(objects)
	for _, key := range keys {
		if err := w.Objects.Put(t.Context(), w.Bucket, key, strings.NewReader(key)); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if !isInvoke(c) {
			return nil
		}
		p, err := event.DecodePayload(c.Body)
		if err != nil {
			return err
		}
		for _, payload := range l.next(p.Messages[0].Request.Upload.Key) {
			w.Deliver(payload)
		}
		if c.Ordinal == objects/2 {
			interrupt()
			return lost()
		}
		return nil
	})
	if r := w.do(ctx, fast, "-yes"); r.Code != cli.ExitFailed || !strings.Contains(r.Stderr, "interrupted") {
		t.Fatalf("%d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	r := w.well()
	if s := r.summary; !s.Finished || s.Objects != int64(objects) || s.Sent+s.Skipped[media.SkipHaveJobs] != s.Objects {
		t.Errorf("%+v", s)
	}
	sent := time.Since(began)
	for _, payload := range l.rest() {
		w.Deliver(payload)
	}
	if err := w.Pipeline.Quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	w.Pass(2 * time.Hour) // what failed comes again

	doubled := w.wantTwoJobs(keys)
	t.Logf("%d objects, %d jobs doubled; all sent after %v, all over after %v", objects, doubled, sent.Round(time.Millisecond), took.Round(time.Millisecond))
}

// wantTwoJobs checks that each key has one job of each name and its row, and
// counts the jobs that were made twice.
func (w *world) wantTwoJobs(keys []string) (doubled int) {
	w.t.Helper()
	made := map[string]int{}
	for _, job := range w.Ittybit.Jobs() {
		made[job.Input+" "+job.Metadata["job"]]++
	}
	for what, n := range made {
		if n > 1 {
			doubled++
			w.t.Errorf("%s: %d jobs", what, n)
		}
	}
	rows := map[string]int{}
	w.Tables.Rows(w.Table, func(row dynamodb.Row) {
		if row.Text("job") != "" && row.Text("state") == "succeeded" {
			rows[row.Text("pk")+" "+row.Text("job")]++
		}
	})
	for _, key := range keys {
		for _, job := range []string{"video", "thumbnail"} {
			if made[fmt.Sprintf("s3://%s/%s %s", w.Bucket, key, job)] != 1 || rows[key+" "+job] != 1 {
				w.t.Errorf("%q has not one job %q and one row", key, job)
			}
		}
	}
	if len(made) != 2*len(keys) || len(rows) != 2*len(keys) {
		w.t.Errorf("%d jobs and %d rows of %d objects", len(made), len(rows), len(keys))
	}
	return doubled
}
