package results_test

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/aws/endpoint"
)

// What a job's life can bring, in the order of the ranks.
var (
	queued     = media.Result{JobID: jobID, Status: "queued", State: media.Queued, Kind: "video", CreatedAt: start}
	processing = media.Result{JobID: jobID, Status: "validating", State: media.Processing, Kind: "video"}
	givenUp    = media.Result{JobID: jobID, State: media.InferredFailed, Error: "given up: not a word in 168h0m0s"}
	failed     = media.Result{JobID: jobID, Status: "failed", State: media.Failed, Error: "codec_unsupported: no", FinishedAt: start.Add(time.Minute)}
	cancelled  = media.Result{JobID: jobID, Status: "cancelled", State: media.Cancelled}
	succeeded  = media.Result{
		JobID: jobID, Status: "completed", State: media.Succeeded, Kind: "video", DurationMS: new(int64(4820)),
		Outputs:   []media.Output{{URL: "https://cdn.ittybit.com/abc/video.mp4", Kind: "video", Format: "mp4", Width: 1920, Height: 1080}, {URL: "s3://b/k.webp"}},
		CreatedAt: start, FinishedAt: start.Add(4 * time.Second),
	}
)

// The guide's webhook example must come out as the guide's row.
func TestApplyStoresTheGuidesRow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	ref := media.JobRef{Bucket: "my-media-bucket", Key: "uploads/video.mov", Upload: "0123", Job: "video"}
	f.apply(t, ref, media.Result{
		JobID:      "task_abc123",
		Status:     "completed",
		State:      media.Succeeded,
		Kind:       "video",
		Outputs:    []media.Output{{URL: "https://cdn.ittybit.com/abc/video.mp4"}},
		DurationMS: new(int64(4820)),
		CreatedAt:  time.UnixMilli(1775210400000),
		FinishedAt: time.UnixMilli(1775210404000),
	}, results.CreateOrUpdate)

	var got map[string]any
	for _, row := range f.aws.Rows(t, ref.Key) {
		if err := json.Unmarshal([]byte(asJSON(t, row)), &got); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]any{
		"pk":           "uploads/video.mov",
		"sk":           "task#task_abc123",
		"status":       "completed",
		"kind":         "video",
		"output_url":   "https://cdn.ittybit.com/abc/video.mp4",
		"duration_ms":  4820.0,
		"created_at":   1775210400000.0,
		"completed_at": 1775210404000.0,
		// Ours.
		"state":         "succeeded",
		"rank":          4.0,
		"source_bucket": "my-media-bucket",
		"upload":        "0123",
		"job":           "video",
		"attempt":       0.0,
		"outputs":       []any{map[string]any{"url": "https://cdn.ittybit.com/abc/video.mp4"}},
		"updated_at":    float64(start.UnixMilli()),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("row = %v\nwant  %v", got, want)
	}
	stored := f.aws.Item(t, ref.Key, "task#task_abc123")
	delete(stored, results.EventAttribute) // nobody reads it here
	if len(stored) != len(want) {
		t.Errorf("the table has the attributes %v", slices.Sorted(maps.Keys(stored)))
	}
}

// Whatever comes in whatever order and how often, the row ends the same.
func TestEveryOrderEndsInTheSameRow(t *testing.T) {
	t.Parallel()
	type event func(*testing.T, *fixture)
	ref := refTo("video", 0)
	dispatch := func(t *testing.T, f *fixture) { f.queued(t, ref, queued) }
	callback := func(r media.Result) event {
		return func(t *testing.T, f *fixture) { f.apply(t, ref, r, results.CreateOrUpdate) }
	}
	sweep := func(r media.Result) event {
		return func(t *testing.T, f *fixture) { f.apply(t, ref, r, results.UpdateOnly) }
	}
	tests := map[string]struct {
		events []event
		want   results.Row // what depends on the end
	}{
		"success after failures": {
			events: []event{dispatch, callback(processing), callback(failed), callback(succeeded), callback(succeeded)},
			want: results.Row{
				Status: "completed", State: "succeeded", Rank: new(4), DurationMS: new(int64(4820)), CompletedAt: ms(succeeded.FinishedAt),
				OutputURL: "https://cdn.ittybit.com/abc/video.mp4",
				Outputs:   []results.Output{{URL: "https://cdn.ittybit.com/abc/video.mp4", Kind: "video", Format: "mp4", Width: 1920, Height: 1080}, {URL: "s3://b/k.webp"}},
			},
		},
		"failure": {
			events: []event{dispatch, dispatch, callback(processing), sweep(failed), callback(failed)},
			want:   results.Row{Status: "failed", State: "failed", Rank: new(3), Error: failed.Error, CompletedAt: ms(failed.FinishedAt)},
		},
		"Ittybit's word after ours": {
			events: []event{dispatch, callback(queued), sweep(givenUp), callback(cancelled)},
			want:   results.Row{Status: "cancelled", State: "cancelled", Rank: new(3)},
		},
		"nobody's word": {
			events: []event{dispatch, dispatch, callback(processing), callback(processing)},
			want:   results.Row{Status: "validating", State: "processing", Rank: new(1), Open: "1"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := test.want
			want.Key, want.SortKey = upload.Key, "task#"+jobID
			want.Description = results.Description{
				Kind: "video", Input: "s3://my-media-bucket/uploads/été #1 +%.mov",
				ETag: upload.ETag, VersionID: upload.VersionID, Sequencer: upload.Sequencer,
				UploadedAt: ms(upload.Time), DispatchedAt: ms(start), CreatedAt: ms(start),
			}
			want.Bucket, want.Upload, want.Job = ref.Bucket, ref.Upload, ref.Job
			want.UpdatedAt = ms(start)
			if want.Open == "" {
				want.ExpiresAt = results.Seconds(start.Add(40 * 24 * time.Hour).Unix())
			}
			for order := range handlertest.Permutations(len(test.events)) {
				f := newFixture(t, 40*24*time.Hour)
				for _, i := range order {
					test.events[i](t, f)
				}
				got := f.row(t)
				if got.CheckAt == 0 == (want.Open != "") {
					t.Fatalf("order %v: check_at = %d", order, got.CheckAt)
				}
				got.CheckAt = 0 // depends on who was first
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("order %v\n got %s\nwant %s", order, asJSON(t, got), asJSON(t, want))
				}
			}
		})
	}
}

func ms(t time.Time) results.Millis { return results.Millis(t.UnixMilli()) }

func TestApplySaysWhatItDid(t *testing.T) {
	t.Parallel()
	ref := refTo("video", 0)
	other := func(change func(*media.JobRef)) media.JobRef {
		r := ref
		change(&r)
		return r
	}
	dispatched := results.Outcome{UploadedAt: upload.Time, DispatchedAt: start}
	tests := map[string]struct {
		before []media.Result // from callbacks
		noted  bool           // by dispatch
		ref    media.JobRef
		result media.Result
		mode   results.Mode
		want   results.Outcome
	}{
		"first of all":              {ref: ref, result: succeeded, want: results.Outcome{}},
		"after dispatch":            {noted: true, ref: ref, result: succeeded, want: dispatched},
		"after dispatch, by sweep":  {noted: true, ref: ref, result: givenUp, mode: results.UpdateOnly, want: dispatched},
		"no row to update":          {ref: ref, result: succeeded, mode: results.UpdateOnly, want: results.Outcome{Verdict: results.Missing}},
		"the same again":            {before: []media.Result{succeeded}, ref: ref, result: succeeded, want: results.Outcome{Verdict: results.Duplicate}},
		"late news":                 {before: []media.Result{failed}, noted: true, ref: ref, result: processing, want: results.Outcome{Verdict: results.Duplicate}},
		"late news, by sweep":       {before: []media.Result{failed}, ref: ref, result: givenUp, mode: results.UpdateOnly, want: results.Outcome{Verdict: results.Duplicate}},
		"failed, then cancelled":    {before: []media.Result{failed}, ref: ref, result: cancelled, want: results.Outcome{Verdict: results.Duplicate}},
		"another upload":            {noted: true, ref: other(func(r *media.JobRef) { r.Upload = "ffff" }), result: succeeded, want: results.Outcome{Verdict: results.Mismatch}},
		"another job":               {noted: true, ref: other(func(r *media.JobRef) { r.Job = "audio" }), result: succeeded, want: results.Outcome{Verdict: results.Mismatch}},
		"another attempt":           {noted: true, ref: other(func(r *media.JobRef) { r.Attempt = 1 }), result: succeeded, want: results.Outcome{Verdict: results.Mismatch}},
		"another upload, signature": {noted: true, ref: other(func(r *media.JobRef) { r.Upload = "ffff" }), result: succeeded, mode: results.UpdateOnly, want: results.Outcome{Verdict: results.Mismatch}},
		"another key, signature":    {noted: true, ref: other(func(r *media.JobRef) { r.Key = "uploads/x.mov" }), result: succeeded, mode: results.UpdateOnly, want: results.Outcome{Verdict: results.Missing}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 0)
			if test.noted {
				f.queued(t, ref, queued)
			}
			for _, r := range test.before {
				f.apply(t, ref, r, results.CreateOrUpdate)
			}
			was := f.row(t)
			got := f.apply(t, test.ref, test.result, test.mode)
			if got != test.want {
				t.Errorf("Apply = %+v, want %+v", got, test.want)
			}
			if changed := !reflect.DeepEqual(f.row(t), was); changed != (got.Verdict == results.Stored) {
				t.Errorf("%v, and the row changed: %v", got.Verdict, changed)
			}
		})
	}
}

// A row that comes between the refused write and the look at it is no
// duplicate: the result would be lost.
func TestApplyDoesNotMistakeARowThatJustCameForADuplicate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	ref := refTo("video", 0)
	looks := 0
	f.aws.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Operation == "GetItem" {
			if looks++; looks == 1 {
				f.queued(t, ref, queued)
			}
		}
		return nil
	})
	outcome, err := f.Apply(t.Context(), results.Report{At: start, Ref: ref, Result: succeeded, Mode: results.UpdateOnly})
	if err != nil || outcome.Verdict != results.Stored {
		t.Fatalf("Apply = %v, %v, want stored", outcome.Verdict, err)
	}
	if row := f.row(t); row.State != "succeeded" || looks != 1 {
		t.Errorf("state %s after %d looks, want succeeded after 1", row.State, looks)
	}
}

// Writes that are refused for ever without a reason end in an error.
func TestApplyGivesUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	ref := refTo("video", 0)
	f.queued(t, ref, queued)
	f.aws.Fail(handlertest.Operation("UpdateItem"), refused)
	if outcome, err := f.Apply(t.Context(), results.Report{At: start, Ref: ref, Result: succeeded}); err == nil {
		t.Errorf("Apply = %v, want an error", outcome.Verdict)
	}
}

func TestApplyAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	ref := refTo("video", 0)
	var stored, noted atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			outcome, err := f.Apply(t.Context(), results.Report{At: f.now, Ref: ref, Result: succeeded})
			if err != nil {
				t.Error(err)
			}
			if outcome.Verdict == results.Stored {
				stored.Add(1)
			}
		})
		wg.Go(func() {
			created, err := f.InsertQueued(t.Context(), results.Dispatched{At: f.now, CheckAt: start.Add(time.Duration(i)), Upload: upload, Ref: ref, Result: queued})
			if err != nil {
				t.Error(err)
			}
			if created {
				noted.Add(1)
			}
		})
	}
	wg.Wait()
	if stored.Load() != 1 || noted.Load() != 1 {
		t.Errorf("stored %d times and noted %d times, want once each", stored.Load(), noted.Load())
	}
	if row := f.row(t); row.State != "succeeded" || row.DispatchedAt == 0 || row.Open != "" || row.CheckAt != 0 {
		t.Errorf("row = %s", asJSON(t, row))
	}
}

func TestAbsentValuesKeepWhatIsThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	ref := refTo("video", 0)
	f.apply(t, ref, media.Result{
		JobID: jobID, Status: "failed", State: media.Failed, Kind: "video", Error: "no", DurationMS: new(int64(7)),
		Outputs: slices.Repeat([]media.Output{{URL: "s3://b/part"}}, 101), FinishedAt: start, CreatedAt: start,
	}, results.CreateOrUpdate)
	if row := f.row(t); row.OutputsOmitted != 1 || row.Error != "no" {
		t.Fatalf("row = %s", asJSON(t, row))
	}
	f.now = start.Add(time.Hour)
	f.apply(t, ref, media.Result{JobID: jobID, State: media.Succeeded, Outputs: []media.Output{{URL: "s3://b/o.mp4"}}}, results.CreateOrUpdate)
	row := f.row(t)
	want := results.Row{
		Key: ref.Key, SortKey: "task#" + jobID, Description: results.Description{Kind: "video", CreatedAt: ms(start)},
		Status: "succeeded", State: "succeeded", Rank: new(4), CompletedAt: ms(start), DurationMS: new(int64(7)),
		OutputURL: "s3://b/o.mp4", Outputs: []results.Output{{URL: "s3://b/o.mp4"}},
		Bucket: ref.Bucket, Upload: ref.Upload, Job: ref.Job, UpdatedAt: ms(f.now),
	}
	if !reflect.DeepEqual(row, want) {
		t.Errorf(" got %s\nwant %s", asJSON(t, row), asJSON(t, want))
	}
}

// A success that came without its outputs gets them from a later one, once.
func TestASuccessWithoutOutputIsCompleted(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	ref := refTo("video", 0)
	bare, other := succeeded, succeeded
	bare.Outputs = nil
	other.Outputs = []media.Output{{URL: "s3://b/other.mp4"}}
	for _, step := range []struct {
		result    media.Result
		verdict   results.Verdict
		completed bool
		url       string
	}{
		{result: bare, verdict: results.Stored},
		{result: bare, verdict: results.Duplicate},
		{result: failed, verdict: results.Duplicate},
		{result: succeeded, verdict: results.Stored, completed: true, url: succeeded.OutputURL()},
		{result: other, verdict: results.Duplicate, url: succeeded.OutputURL()},
		{result: bare, verdict: results.Duplicate, url: succeeded.OutputURL()},
	} {
		got, err := f.Apply(t.Context(), results.Report{At: f.now, Ref: ref, Result: step.result})
		if err != nil || got.Verdict != step.verdict || got.Completed != step.completed {
			t.Errorf("%s with %d outputs: outcome %+v, error %v", step.result.State, len(step.result.Outputs), got, err)
		}
		if row := f.row(t); row.OutputURL != step.url {
			t.Errorf("the row has output %q, want %q", row.OutputURL, step.url)
		}
	}
	foreign := refTo("video", 1)
	if got, err := f.Apply(t.Context(), results.Report{At: f.now, Ref: foreign, Result: succeeded}); err != nil || got.Verdict != results.Mismatch {
		t.Errorf("another attempt's: outcome %+v, error %v", got, err)
	}
}

// What Ittybit named and nobody could keep is counted in the row.
func TestOutputsThatWereOmittedBeforeAreCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	r := succeeded
	r.Outputs, r.OutputsOmitted = nil, 2
	f.apply(t, refTo("video", 0), r, results.CreateOrUpdate)
	if row := f.row(t); row.OutputsOmitted != 2 {
		t.Errorf("outputs_omitted is %d, want 2", row.OutputsOmitted)
	}
}

// What comes from outside must fit DynamoDB's 400 KB, or the job never ends.
func TestRowsStayBelow400KB(t *testing.T) {
	t.Parallel()
	outputs := func(n, bytes int) []media.Output {
		list := make([]media.Output, n)
		for i := range list {
			list[i] = media.Output{URL: strings.Repeat("u", bytes), Kind: strings.Repeat("k", 1500), Format: strings.Repeat("f", 1500), Width: 1, Height: 1}
		}
		return list
	}
	for name, test := range map[string]struct {
		outputs []media.Output
		want    int // kept
	}{
		"as many as there is room for": {outputs: outputs(100, 100), want: 42},
		"more than there is room for":  {outputs: outputs(101, 100), want: 42},
		"too many":                     {outputs: slices.Repeat([]media.Output{{URL: "s3://b/part"}}, 150), want: 100},
		"a long one":                   {outputs: outputs(1, 90<<10-2048), want: 1},
		"one that is to be escaped":    {outputs: []media.Output{{URL: strings.Repeat(`"`, 90<<10)}}, want: 1},
		"one that is too long":         {outputs: outputs(3, 1<<20), want: 0},
		"none":                         {want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 0)
			long := strings.Repeat("token=secret ", 200)
			f.apply(t, refTo("video", 0), media.Result{JobID: jobID, State: media.Succeeded, Status: long, Kind: long, Error: long, Outputs: test.outputs}, results.CreateOrUpdate)
			row := f.row(t)
			text := asJSON(t, row)
			if len(row.Status) > 1024 || len(row.Kind) > 1024 || len(row.Error) > 1024 { // a row that is too long is refused
				t.Errorf("the row's texts have %d, %d and %d bytes", len(row.Status), len(row.Kind), len(row.Error))
			}
			if strings.Contains(text, "secret") {
				t.Error("the row has the token")
			}
			if len(row.Outputs) != test.want || row.OutputsOmitted != len(test.outputs)-test.want {
				t.Errorf("kept %d and left out %d of %d, want %d kept", len(row.Outputs), row.OutputsOmitted, len(test.outputs), test.want)
			}
		})
	}
}

func TestVerdictsHaveNames(t *testing.T) {
	t.Parallel()
	for verdict, want := range map[results.Verdict]string{
		results.Stored: "stored", results.Duplicate: "duplicate", results.Missing: "missing", results.Mismatch: "mismatch", 9: "Verdict(9)",
	} {
		if got := verdict.String(); got != want {
			t.Errorf("%d reads %q, want %q", int(verdict), got, want)
		}
	}
}
