package results_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/results/resultstest"
	"ittybit-media/scripts/local/aws/pipes"
)

// resultEvent is an event as a rule's target gets it.
type resultEvent struct {
	Source     string
	DetailType string `json:"detail-type"`
	Detail     map[string]string
}

// listen has the pipe make events of what happens to the table from now on. The
// function that it returns waits until it has, and returns the events, each
// held to the schema, since its last call.
func (f *fixture) listen(t *testing.T) (events func() []resultEvent) {
	t.Helper()
	var sent []resultEvent // by the pipe, before Idle returns
	pipe, err := pipes.Start(pipes.Config{
		Filters: results.EventFilters(), Template: results.EventTemplate("dev"), Source: results.EventSource, DetailType: results.EventDetailType,
		Now: func() time.Time { return start },
		Send: func(event []byte) {
			if err := resultstest.ValidateEvent(event); err != nil {
				t.Errorf("%v\n%s", err, event)
			}
			var e resultEvent
			if err := json.Unmarshal(event, &e); err != nil {
				t.Error(err)
			}
			sent = append(sent, e)
		},
		Fail: func(record []byte, err error) { t.Errorf("%v\n%s", err, record) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pipe.Close)
	if err := f.aws.Tables.Stream(tableName, pipe.Put); err != nil {
		t.Fatal(err)
	}
	return func() []resultEvent {
		t.Helper()
		if err := pipe.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		events := sent
		sent = nil
		return events
	}
}

// describe tells events by their detail type and state.
func describe(events []resultEvent) []string {
	var all []string
	for _, e := range events {
		all = append(all, e.DetailType+": "+e.Detail["state"])
	}
	return all
}

const (
	eventOfSuccess   = "Media Job Succeeded: succeeded"
	eventOfFailure   = "Media Job Failed: failed"
	eventOfCancelled = "Media Job Failed: cancelled"
	eventOfRejection = "Upload Rejected: rejected"
)

// Every step from one state of a job to another is an event, or none.
func TestWhatIsNews(t *testing.T) {
	t.Parallel()
	ref := refTo("video", 0)
	states := map[string]media.Result{
		"queued": queued, "processing": processing, "given up": givenUp, "failed": failed, "cancelled": cancelled, "succeeded": succeeded,
	}
	final := map[string]string{"given up": eventOfFailure, "failed": eventOfFailure, "cancelled": eventOfCancelled, "succeeded": eventOfSuccess}
	ranks := func(name string) int { return states[name].State.Rank() }
	for before := range states {
		for after := range states {
			var want []string
			if event, ok := final[after]; ok && ranks(after) > ranks(before) && !(before == "given up" && after == "failed") {
				want = []string{event}
			}
			f := newFixture(t, 0)
			f.apply(t, ref, states[before], results.CreateOrUpdate)
			events := f.listen(t)
			f.apply(t, ref, states[after], results.CreateOrUpdate)
			if got := describe(events()); !slices.Equal(got, want) {
				t.Errorf("%s after %s: %q, want %q", after, before, got, want)
			}
		}
	}
	for first := range states {
		var want []string
		if event, ok := final[first]; ok {
			want = []string{event}
		}
		f := newFixture(t, 0)
		events := f.listen(t)
		f.apply(t, ref, states[first], results.CreateOrUpdate)
		if got := describe(events()); !slices.Equal(got, want) {
			t.Errorf("%s at first: %q, want %q", first, got, want)
		}
	}
}

// What else is written to the table is no event.
func TestWhatIsNoNews(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 30*24*time.Hour)
	ref := refTo("video", 0)
	events := f.listen(t)
	for what, do := range map[string]func() error{
		"a job is noted":           func() error { f.queued(t, ref, queued); return nil },
		"a day's count":            func() error { _, err := f.ReserveJobs(t.Context(), start, 3, 3); return err },
		"the check of an open job": func() error { _, err := f.Reschedule(t.Context(), ref.Key, jobID, start.Add(time.Hour)); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if got := describe(events()); got != nil {
			t.Errorf("%s: %q", what, got)
		}
	}

	// The callback was faster than dispatch, which completes its row then.
	f = newFixture(t, 0)
	f.apply(t, ref, succeeded, results.CreateOrUpdate)
	events = f.listen(t)
	before := f.row(t)
	f.queued(t, ref, queued)
	if got := describe(events()); got != nil || f.row(t).DispatchedAt == before.DispatchedAt {
		t.Errorf("a row that was completed: %q", got)
	}

	// The outputs of a success come after it.
	f = newFixture(t, 0)
	bare := succeeded
	bare.Outputs = nil
	f.apply(t, ref, bare, results.CreateOrUpdate)
	events = f.listen(t)
	f.apply(t, ref, succeeded, results.CreateOrUpdate)
	if got := describe(events()); got != nil || f.row(t).OutputURL != succeeded.OutputURL() {
		t.Errorf("a success that was completed: %q", got)
	}

	// DynamoDB deletes it at its time.
	for _, r := range []media.Result{succeeded, failed, cancelled} {
		f = newFixture(t, 0)
		f.apply(t, ref, r, results.CreateOrUpdate)
		events = f.listen(t)
		f.aws.Delete(t, ref.Key, "task#"+jobID)
		if got := describe(events()); got != nil || len(f.aws.Item(t, ref.Key, "task#"+jobID)) > 0 {
			t.Errorf("a row that was deleted: %q", got)
		}
	}
}

func TestRejectionsAreEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	events := f.listen(t)
	for _, tt := range []struct {
		job     string
		attempt int
		want    []string
	}{
		{job: "video", attempt: 0, want: []string{eventOfRejection}},
		{job: "video", attempt: 0},
		{job: "video", attempt: 1, want: []string{eventOfRejection}},
		{attempt: 0, want: []string{eventOfRejection}},
	} {
		if _, err := f.Reject(t.Context(), start, upload, refTo(tt.job, tt.attempt), "no"); err != nil {
			t.Fatal(err)
		}
		got := events()
		if !slices.Equal(describe(got), tt.want) {
			t.Errorf("job %q, attempt %d: %q, want %q", tt.job, tt.attempt, describe(got), tt.want)
		}
		for _, e := range got {
			if e.Detail["job"] != tt.job || e.Detail["error"] != "no" {
				t.Errorf("%v", e.Detail)
			}
		}
	}
	f.aws.Delete(t, upload.Key, "upload#"+upload.ID(tableName))
	if got := describe(events()); got != nil {
		t.Errorf("a rejection that was deleted: %q", got)
	}
}

func TestWhatAnEventSays(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	ref := refTo("video", 2)
	events := f.listen(t)
	f.apply(t, ref, failed, results.CreateOrUpdate)
	f.now = start.Add(time.Minute)
	f.apply(t, ref, succeeded, results.CreateOrUpdate)
	got := events()
	if len(got) != 2 || got[0].Source != "ittybit-media" {
		t.Fatalf("events %v", got)
	}
	for i, want := range []map[string]string{
		{
			"state": "failed", "status": "failed", "kind": "", "output_url": "", "error": "codec_unsupported: no", "duration_ms": "",
			"created_at": "", "completed_at": "1775210460000", "updated_at": "1775210400000",
		},
		{
			"state": "succeeded", "status": "completed", "kind": "video", "output_url": "https://cdn.ittybit.com/abc/video.mp4", "error": "", "duration_ms": "4820",
			"created_at": "1775210400000", "completed_at": "1775210404000", "updated_at": "1775210460000",
		},
	} {
		for name, value := range map[string]string{
			"version": "1", "stack": "dev", "bucket": "my-media-bucket", "key": "uploads/été #1 +%25.mov", "upload": ref.Upload, "job": "video", "job_id": jobID, "attempt": "2",
		} {
			want[name] = value
		}
		if asJSON(t, got[i].Detail) != asJSON(t, want) {
			t.Errorf("event %d\n got %s\nwant %s", i, asJSON(t, got[i].Detail), asJSON(t, want))
		}
	}
}

// Whatever S3 takes for a key and Ittybit puts into a text must come through:
// the pipe does not escape it.
func TestEventsOfAnyText(t *testing.T) {
	t.Parallel()
	const odd = "a\"b\\c\x00\x1f\n\t%22%\u2028\u007f<$.x>é😀"
	f := newFixture(t, 0)
	events := f.listen(t)
	ref := refTo("video", 0)
	ref.Key = "uploads/" + odd
	f.apply(t, ref, media.Result{
		JobID: odd, Status: odd, State: media.Failed, Kind: odd, Error: odd, Outputs: []media.Output{{URL: "s3://b/" + odd}},
	}, results.CreateOrUpdate)
	got := events()
	if len(got) != 1 {
		t.Fatalf("%d events", len(got))
	}
	detail := got[0].Detail
	if key, err := url.PathUnescape(detail["key"]); err != nil || key != ref.Key {
		t.Errorf("key %q: %q, %v", detail["key"], key, err)
	}
	const plain = "a'b/c    %22%\u2028\u007f<$.x>é😀"
	for name, want := range map[string]string{
		"job_id": plain, "status": plain, "kind": plain, "error": plain, "output_url": "s3://b/a%22b%5Cc%00%1F%0A%09%22%\u2028\u007f<$.x>é😀",
	} {
		if detail[name] != want {
			t.Errorf("%s %q, want %q", name, detail[name], want)
		}
	}
}

// The schema is what others rely on: what it shows is right, what is wrong it
// refuses, and it names what there is.
func TestTheSchema(t *testing.T) {
	t.Parallel()
	var schema struct {
		Properties struct {
			Detail struct {
				Required   []string
				Properties map[string]any
			}
		}
		Examples []json.RawMessage
	}
	if err := json.Unmarshal([]byte(results.EventSchema), &schema); err != nil {
		t.Fatal(err)
	}
	detail := schema.Properties.Detail
	if len(schema.Examples) != 3 {
		t.Errorf("%d examples", len(schema.Examples))
	}
	for _, example := range schema.Examples {
		if err := resultstest.ValidateEvent(example); err != nil {
			t.Errorf("%v\n%s", err, example)
		}
		var e resultEvent
		if err := json.Unmarshal(example, &e); err != nil || len(e.Detail) != len(detail.Properties) {
			t.Errorf("%v, %d members", err, len(e.Detail))
		}
		for name := range e.Detail {
			if detail.Properties[name] == nil {
				t.Errorf("the schema has no %s", name)
			}
			var without map[string]any
			if err := json.Unmarshal(example, &without); err != nil {
				t.Fatal(err)
			}
			members := without["detail"].(map[string]any)
			// What a row may not have is an empty text, or nothing.
			optional := !slices.Contains(detail.Required, name) && !(strings.HasPrefix(name, "job") && e.DetailType != results.UploadRejected) &&
				!(name == "error" && e.DetailType == results.UploadRejected)
			if members[name] = ""; (resultstest.ValidateEvent([]byte(asJSON(t, without))) == nil) != optional {
				t.Errorf("%s: is %s optional? %v", e.DetailType, name, optional)
			}
			if delete(members, name); (resultstest.ValidateEvent([]byte(asJSON(t, without))) == nil) != optional {
				t.Errorf("%s: may %s be left out? %v", e.DetailType, name, optional)
			}
		}
	}
	for from, to := range map[string]string{
		`"Media Job Succeeded"`:  `"Media Job Failed"`,
		`"Media Job Failed"`:     `"Upload Rejected"`,
		`"Upload Rejected"`:      `"Media Job Rejected"`,
		`"state": "failed"`:      `"state": "processing"`,
		`100%25`:                 `100%`,
		`%22final`:               `\"final`,
		`"version": "1"`:         `"version": "2"`,
		`"attempt": "1"`:         `"attempt": 1`,
		`"source": "ittybit-m`:   `"source": "m`,
		`"duration_ms": "4820"`:  `"duration_ms": "4.8 s"`,
		`"job": "thumbnail"`:     `"job": ""`,
		`"job_id": "job_01h455v`: `"job_id": "\njob_01h455v`,
	} {
		found := false
		for _, example := range schema.Examples {
			if text := strings.Replace(string(example), from, to, 1); text != string(example) {
				found = true
				if resultstest.ValidateEvent([]byte(text)) == nil {
					t.Errorf("%s may be %s", from, to)
				}
			}
		}
		if !found {
			t.Errorf("no example has %s", from)
		}
	}
}

// A pipe takes no more than these (FilterCriteria and PipeTargetParameters,
// Amazon EventBridge Pipes API Reference).
func TestTheEventsDefinitionFits(t *testing.T) {
	t.Parallel()
	if n := len(results.EventFilters()); n > 5 {
		t.Errorf("%d filters", n)
	}
	for _, f := range results.EventFilters() {
		if len(f) > 4096 || !json.Valid([]byte(f)) {
			t.Errorf("filter %s", f)
		}
	}
	template := results.EventTemplate(strings.Repeat("x", 100))
	if len(template) > 8192 || !json.Valid([]byte(template)) {
		t.Errorf("template %s", template)
	}
}
