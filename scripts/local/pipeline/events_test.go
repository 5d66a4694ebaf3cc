package pipeline_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/results"
	"ittybit-media/handlers/results/resultstest"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// inbox is what a rule on the bus would get.
type inbox struct {
	mu     sync.Mutex
	events []map[string]string // details, and the detail type as "type"
	wrong  []string
}

func (i *inbox) event(event []byte) {
	var e struct {
		DetailType string `json:"detail-type"`
		Detail     map[string]string
	}
	err := json.Unmarshal(event, &e)
	if err == nil {
		err = resultstest.ValidateEvent(event)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil {
		i.wrong = append(i.wrong, err.Error())
		return
	}
	e.Detail["type"] = e.DetailType
	i.events = append(i.events, e.Detail)
}

// of are the events of a key.
func (i *inbox) of(t *testing.T, key string) []map[string]string {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, w := range i.wrong {
		t.Error(w)
	}
	var found []map[string]string
	for _, e := range i.events {
		if k, err := url.PathUnescape(e["key"]); err != nil {
			t.Error(err)
		} else if k == key {
			found = append(found, e)
		}
	}
	return found
}

func startWithEvents(t *testing.T, ittybit func(*fakeittybit.Options)) (*run, *inbox) {
	t.Helper()
	var i inbox
	r := startWith(t, func(o *pipeline.Options) {
		o.Stack.ResultEvents = true
		o.Stack.Routes[0].MaxBytes = 1000
		o.Stack.GiveUpAfter = 2 * time.Hour
		o.OnEvent = i.event
		pipelinetest.WithIttybit(o, ittybit)
	})
	return r, &i
}

// Each result has its event, whatever its key and its error are made of.
func TestEveryResultHasItsEvent(t *testing.T) {
	t.Parallel()
	const spoiled = "audio"
	r, inbox := startWithEvents(t, func(o *fakeittybit.Options) {
		o.Outcome = func(j fakeittybit.Job) fakeittybit.Outcome {
			if j.Metadata["job"] == spoiled {
				return fakeittybit.Outcome{Status: fakeittybit.Failed, Message: `no "decoder" for C:\film`}
			}
			return fakeittybit.Outcome{}
		}
	})
	keys := []string{`a "b"\c.mov`, "100%.mov", "%22.mov", "été/<$.x>.mov", "tab\t.mov", strings.Repeat("k", 1020) + ".mov"}
	for _, key := range keys {
		r.Put(key, "x")
	}
	r.Put("huge.mov", strings.Repeat("x", 1001))
	r.Until("all of it is over", func() bool {
		return len(r.Rows("huge.mov")) == 1 && !slices.ContainsFunc(keys, func(key string) bool {
			rows := r.Rows(key)
			return len(rows) < len(pipelinetest.Jobs) || slices.ContainsFunc(rows, func(row results.Row) bool { return row.Open != "" || row.DispatchedAt == 0 })
		})
	})
	r.Quiet()
	for _, key := range append(keys, "huge.mov") {
		events := inbox.of(t, key)
		rows := r.Rows(key)
		if len(events) != len(rows) {
			t.Errorf("%q: %d events of %d rows", key, len(events), len(rows))
		}
		for _, row := range rows {
			i := slices.IndexFunc(events, func(e map[string]string) bool { return e["job"] == row.Job })
			if i < 0 {
				t.Errorf("%q: no event of the job %q", key, row.Job)
				continue
			}
			wantType := map[string]string{"succeeded": results.JobSucceeded, "failed": results.JobFailed, "rejected": results.UploadRejected}[row.State]
			for name, want := range map[string]string{
				"type": wantType, "stack": "local", "bucket": r.Bucket, "upload": row.Upload, "job_id": row.JobID(), "attempt": "0", "state": row.State,
				"status": row.Status, "output_url": row.OutputURL, "updated_at": strconv.FormatInt(int64(row.UpdatedAt), 10),
			} {
				if got := events[i][name]; got != want {
					t.Errorf("%q, job %q: %s is %q, want %q", key, row.Job, name, got, want)
				}
			}
			if row.Job == spoiled && !strings.Contains(events[i]["error"], "'decoder") {
				t.Errorf("%q: error %q", key, events[i]["error"])
			}
		}
		if text, ok := r.Has(pipeline.Event, key); !ok || !strings.Contains(text, `"state":"`) {
			t.Errorf("%q: the step says %q", key, text)
		}
	}
	if text, lost := r.Has(pipeline.LostEvent, ""); lost {
		t.Errorf("a lost event: %s", text)
	}
}

// A job that was given up and succeeds after all is news twice; Ittybit's word
// that it failed is none.
func TestWhatIttybitSaysAfterItWasGivenUp(t *testing.T) {
	t.Parallel()
	var w pipelinetest.Behaviour
	w.Mute.Store(true)
	r, inbox := startWithEvents(t, func(o *fakeittybit.Options) {
		w.Options(o)
		o.Outcome = func(fakeittybit.Job) fakeittybit.Outcome {
			return fakeittybit.Outcome{Status: fakeittybit.Processing}
		}
	})
	r.Put("a.mov", "x")
	r.Pass(4 * time.Hour)
	given := inbox.of(t, "a.mov")
	if len(given) != len(pipelinetest.Jobs) {
		t.Fatalf("%d events of jobs that were given up: %v", len(given), given)
	}
	w.Mute.Store(false)
	jobs := r.Ittybit.Jobs()
	for i, j := range jobs {
		status := fakeittybit.Succeeded
		if i == 0 {
			status = fakeittybit.Failed
		}
		if err := r.Ittybit.Finish(j.ID, fakeittybit.Outcome{Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	r.Until("Ittybit's word is in the table", func() bool {
		return !slices.ContainsFunc(r.Rows("a.mov"), func(row results.Row) bool { return row.Rank == nil || *row.Rank < 3 })
	})
	r.Quiet()
	late := inbox.of(t, "a.mov")[len(given):]
	if len(late) != len(jobs)-1 {
		t.Errorf("%d events: %v", len(late), late)
	}
	for _, e := range late {
		if e["type"] != results.JobSucceeded || e["job_id"] == jobs[0].ID {
			t.Errorf("event %v", e)
		}
	}
}

func TestAStackWithoutEventsSendsNone(t *testing.T) {
	t.Parallel()
	var inbox inbox
	r := startWith(t, func(o *pipeline.Options) { o.OnEvent = inbox.event })
	r.Put("a.mov", "x")
	r.Until("three results", func() bool { return r.Succeeded("a.mov") })
	r.Quiet()
	if events := inbox.of(t, "a.mov"); len(events) != 0 || r.Events != nil {
		t.Errorf("events %v", events)
	}
	if _, shown := r.Has(pipeline.Event, "a.mov"); shown {
		t.Error("an event is shown")
	}
}
