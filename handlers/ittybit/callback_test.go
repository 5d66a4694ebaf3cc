package ittybit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
)

func payload(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func ms(n int64) time.Time { return time.UnixMilli(n).UTC() }

func TestDecodeCallbackOfEveryGeneration(t *testing.T) {
	t.Parallel()
	const input = "s3://my-media-bucket/uploads/video.mov"
	tests := map[string]ittybit.Callback{
		"w1_bare.json": {Result: media.Result{
			JobID: "task_a1b2c3d4", Status: "succeeded", State: media.Succeeded, Kind: "video", Input: input,
			Outputs: []media.Output{{
				URL: "s3://my-media-bucket/ittybit-output/video.mp4", Kind: "video", Format: "mp4", Width: 1920, Height: 1080,
			}},
			CreatedAt: ms(1775210400000), FinishedAt: ms(1775210404000),
		}},
		"w2_guide.json": {Event: "job.succeeded", Result: media.Result{
			JobID: "task_abc123", Status: "completed", State: media.Succeeded, Kind: "video", Input: input,
			Outputs:    []media.Output{{URL: "https://cdn.ittybit.com/abc/video.mp4"}},
			DurationMS: new(int64(4820)),
			Metadata:   map[string]string{"source_bucket": "my-media-bucket", "source_key": "uploads/video.mov"},
			CreatedAt:  ms(1775210400000), FinishedAt: ms(1775210404000),
		}},
		"w3_type_data.json": {Event: "job.succeeded", Result: media.Result{
			JobID: "job_01h455vb4pex5vsknk084sn02q", Status: "succeeded", State: media.Succeeded, Kind: "adaptive_video",
			Outputs:    []media.Output{{URL: "https://store.ittybit.net/org_123/master.m3u8"}},
			FinishedAt: ms(1775210404000),
		}},
		"w3_type_bare.json": {Event: "job.failed", Result: media.Result{
			JobID: "job_01h455vb4pex5vsknk084sn02q", Status: "failed", State: media.Failed, Kind: "video",
			Error: "the input has no video stream",
		}},
		"w4_event.json": {Event: "task.succeeded", DeliveryID: "evt_abcdefgh1234", Result: media.Result{
			JobID: "task_abcdefgh1234", Status: "succeeded", State: media.Succeeded, Kind: "image",
			Outputs: []media.Output{
				{URL: "https://store.ittybit.net/org_123/640.webp", Kind: "image", Format: "webp", Width: 640, Height: 360},
				{URL: "https://store.ittybit.net/org_123/320.webp", Kind: "image", Format: "webp", Width: 320, Height: 180},
			},
			CreatedAt: ms(1764590400000), FinishedAt: ms(1764590403250),
		}},
		"w5_bare_2025.json": {Result: media.Result{
			JobID: "task_abcdefgh5678", Status: "completed", State: media.Succeeded, Kind: "nsfw",
			CreatedAt:  time.Date(2025, 8, 20, 10, 0, 0, 0, time.UTC),
			FinishedAt: time.Date(2025, 8, 20, 10, 0, 5, 500e6, time.UTC),
		}},
		"failed_error_object.json": {Event: "job.failed", Result: media.Result{
			JobID: "job_f1", Status: "failed", State: media.Failed, Kind: "audio", Input: input,
			Error:      `{"kind":"input_unreadable","message":"GET https://bucket.s3.amazonaws.com/k?X-Amz-Signature=[redacted] failed"}`,
			FinishedAt: ms(1775210404000),
		}},
		"failed_error_null.json": {Event: "job.failed", Result: media.Result{JobID: "job_f2", Status: "failed", State: media.Failed}},
		"failed_error_list.json": {Event: "job.failed", Result: media.Result{
			JobID: "job_f3", Status: "error", State: media.Failed, Error: `[{"task":1},"no stream"]`,
		}},
		"cancelled.json": {Event: "job.cancelled", Result: media.Result{
			JobID: "job_c1", Status: "canceled", State: media.Cancelled, Kind: "video",
			Error: "cancelled: https://hooks.example/webhook?token=[redacted]",
		}},
		"output_list.json": {Event: "job.succeeded", Result: media.Result{
			JobID: "job_o1", Status: "Succeeded", State: media.Succeeded,
			Outputs: []media.Output{{URL: "https://cdn.ittybit.com/a.mp4"}, {URL: "s3://out/b.mp4", Kind: "video"}},
		}},
		"processing.json": {Event: "task.updated", Result: media.Result{
			JobID: "task_p1", Status: "transmogrifying", State: media.Processing, DurationMS: new(int64(4820)),
			Metadata: map[string]string{"attempt": "0", "job": "video", "list": "[1,2]"},
		}},
		"run_succeeded.json": {Event: "run.succeeded", DeliveryID: "evt_r1", Ignored: `event "run.succeeded" is not about a job`},
		"media_created.json": {Event: "media.created", Ignored: `event "media.created" is not about a job`},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ittybit.DecodeCallback(payload(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(tests) {
		t.Errorf("testdata has %d payloads, %d are tested (%v)", len(files), len(tests), err)
	}
}

func TestDecodeCallbackSettlesTheState(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status, event string
		word          string
		state         media.State
		conflict      bool
	}{
		{status: "succeeded", word: "succeeded", state: media.Succeeded},
		{status: "READY", word: "READY", state: media.Succeeded},
		{status: "success", word: "success", state: media.Succeeded},
		{status: "failed", word: "failed", state: media.Failed},
		{status: "errored", word: "errored", state: media.Failed},
		{status: "cancelled", word: "cancelled", state: media.Cancelled},
		{status: "queued", word: "queued", state: media.Queued},
		{status: "pending", word: "pending", state: media.Queued},
		{status: "waiting", word: "waiting", state: media.Queued},
		{status: "validating", word: "validating", state: media.Processing},
		{status: "processing", word: "processing", state: media.Processing},
		{status: "finishing", word: "finishing", state: media.Processing},
		{state: media.Queued},
		{event: "job.succeeded", word: "succeeded", state: media.Succeeded},
		{event: "task.completed", word: "completed", state: media.Succeeded},
		{event: "job.failed", word: "failed", state: media.Failed},
		{event: "job.canceled", word: "canceled", state: media.Cancelled},
		{event: "task.created", word: "created", state: media.Queued},
		{event: "job.processing", word: "processing", state: media.Processing},
		{event: "task.updated", state: media.Queued},
		{status: "completed", event: "job.succeeded", word: "completed", state: media.Succeeded},
		{status: "processing", event: "job.failed", word: "failed", state: media.Failed, conflict: true},
		{status: "baking", event: "job.failed", word: "failed", state: media.Failed},
		{status: "succeeded", event: "job.failed", word: "succeeded", state: media.Succeeded, conflict: true},
		{status: "succeeded", event: "job.processing", word: "succeeded", state: media.Succeeded, conflict: true},
		{status: "processing", event: "job.created", word: "processing", state: media.Processing},
		{status: "succeeded", event: "completed", word: "succeeded", state: media.Succeeded}, // an event without a prefix is about the job
	}
	for _, tt := range tests {
		t.Run(tt.status+"/"+tt.event, func(t *testing.T) {
			t.Parallel()
			c, err := ittybit.DecodeCallback(fmt.Appendf(nil, `{"event":%q,"data":{"id":"job_1","status":%q}}`, tt.event, tt.status))
			if err != nil {
				t.Fatal(err)
			}
			if c.Result.Status != tt.word || c.Result.State != tt.state || c.Conflict != tt.conflict {
				t.Errorf("got %q, %v, conflict %v; want %q, %v, %v", c.Result.Status, c.Result.State, c.Conflict, tt.word, tt.state, tt.conflict)
			}
		})
	}
}

func TestDecodeCallbackRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		want       error
	}{
		{name: "nothing", body: ``, want: ittybit.ErrNotJSON},
		{name: "form", body: `id=job_1`, want: ittybit.ErrNotJSON},
		{name: "cut", body: `{"id":"job_1"`, want: ittybit.ErrNotJSON},
		{name: "two documents", body: `{"id":"job_1"}{}`, want: ittybit.ErrNotJSON},
		{name: "deep nesting", body: strings.Repeat(`{"data":`, 20_000) + `1` + strings.Repeat(`}`, 20_000), want: ittybit.ErrNotJSON},
		{name: "null", body: `null`, want: ittybit.ErrNoJobID},
		{name: "list", body: `[{"id":"job_1"}]`, want: ittybit.ErrNoJobID},
		{name: "text", body: `"job_1"`, want: ittybit.ErrNoJobID},
		{name: "empty object", body: `{}`, want: ittybit.ErrNoJobID},
		{name: "empty id", body: `{"id":""}`, want: ittybit.ErrNoJobID},
		{name: "number as id", body: `{"id":1}`, want: ittybit.ErrNoJobID},
		{name: "long id", body: `{"id":"` + strings.Repeat("x", 257) + `"}`, want: ittybit.ErrNoJobID},
		{name: "data without id", body: `{"id":"evt_1","event":"job.failed","data":{"status":"failed"}}`, want: ittybit.ErrNoJobID},
		{name: "event without data", body: `{"id":"evt_1","object":"event","kind":"job.failed"}`, want: ittybit.ErrNoJobID},
		{name: "event with strange data", body: `{"id":"evt_1","object":"event","kind":"job.failed","data":{"id":5}}`, want: ittybit.ErrNoJobID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := ittybit.DecodeCallback([]byte(tt.body))
			if !errors.Is(err, tt.want) {
				t.Errorf("got %+v, %v; want %v", c, err, tt.want)
			}
		})
	}
}

// Nothing that is strange in one field may cost the callback.
func TestDecodeCallbackToleratesStrangeFields(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, fields string
		check        func(media.Result) bool
	}{
		{name: "status is a number", fields: `"status":5`, check: func(r media.Result) bool { return r.Status == "" && r.State == media.Queued }},
		{name: "long status", fields: `"status":"` + strings.Repeat("é", 100) + `"`, check: func(r media.Result) bool { return r.Status == strings.Repeat("é", 32) }},
		{name: "escapes", fields: `"status":"\u0064one\n","kind":"vid\"eo"`, check: func(r media.Result) bool { return r.Status == "done\n" && r.Kind == `vid"eo` }},
		{name: "no UTF-8", fields: `"status":"` + "d\xffone" + `"`, check: func(r media.Result) bool { return r.Status == "d\uFFFDone" }},
		{name: "kind is an object", fields: `"kind":{}`, check: func(r media.Result) bool { return r.Kind == "" }},
		{name: "input is a list", fields: `"input":[]`, check: func(r media.Result) bool { return r.Input == "" }},
		{name: "input without url", fields: `"input":{"id":"file_1"}`, check: func(r media.Result) bool { return r.Input == "" }},
		{name: "long input", fields: `"input":"s3://` + strings.Repeat("x", 5000) + `"`, check: func(r media.Result) bool { return r.Input == "" }},
		{name: "output is a number", fields: `"output":5`, check: func(r media.Result) bool { return r.Outputs == nil }},
		{name: "output width is a word", fields: `"output":{"url":"s3://b/k","width":"wide","height":-1}`, check: func(r media.Result) bool {
			return reflect.DeepEqual(r.Outputs, []media.Output{{URL: "s3://b/k"}})
		}},
		{name: "many outputs", fields: `"outputs":[` + manyURLs(500) + `]`, check: func(r media.Result) bool {
			return len(r.Outputs) == 64 && r.Outputs[0].URL == "s3://out/0"
		}},
		{name: "error is false", fields: `"error":false`, check: func(r media.Result) bool { return r.Error == "false" }},
		{name: "long error", fields: `"error":"` + strings.Repeat("x", 5000) + `"`, check: func(r media.Result) bool { return len(r.Error) == 1024 }},
		{name: "metadata is a list", fields: `"metadata":["a"]`, check: func(r media.Result) bool { return r.Metadata == nil }},
		{name: "negative duration", fields: `"duration_ms":-1`, check: func(r media.Result) bool { return r.DurationMS == nil }},
		{name: "endless duration", fields: `"duration_ms":"Infinity"`, check: func(r media.Result) bool { return r.DurationMS == nil }},
		{name: "duration is a word", fields: `"duration_ms":"long"`, check: func(r media.Result) bool { return r.DurationMS == nil }},
		{name: "no duration", fields: `"duration_ms":null`, check: func(r media.Result) bool { return r.DurationMS == nil }},
		{name: "duration 0", fields: `"duration_ms":0`, check: func(r media.Result) bool { return r.DurationMS != nil && *r.DurationMS == 0 }},
		{name: "seconds as text", fields: `"created_at":"1775210400"`, check: func(r media.Result) bool { return r.CreatedAt.Equal(ms(1775210400000)) }},
		{name: "time NaN", fields: `"created_at":"NaN"`, check: func(r media.Result) bool { return r.CreatedAt.IsZero() }},
		{name: "time 0", fields: `"created_at":0`, check: func(r media.Result) bool { return r.CreatedAt.IsZero() }},
		{name: "time before 1970", fields: `"created_at":-5`, check: func(r media.Result) bool { return r.CreatedAt.IsZero() }},
		{name: "nanoseconds", fields: `"created_at":1775210400000000000`, check: func(r media.Result) bool { return r.CreatedAt.IsZero() }},
		{name: "first end that is a time", fields: `"finished_at":null,"completed_at":{},"succeeded_at":1775210404000,"completed":1`, check: func(r media.Result) bool {
			return r.FinishedAt.Equal(ms(1775210404000))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := ittybit.DecodeCallback([]byte(`{"id":"job_1",` + tt.fields + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if c.Result.JobID != "job_1" || !tt.check(c.Result) {
				t.Errorf("got %+v", c.Result)
			}
		})
	}
}

func manyURLs(n int) string {
	urls := make([]string, n)
	for i := range urls {
		urls[i] = fmt.Sprintf(`"s3://out/%d"`, i)
	}
	return strings.Join(urls, ",")
}

func FuzzDecodeCallback(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add(payload(f, filepath.Base(file)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ittybit.DecodeCallback(body)
		switch {
		case err != nil:
			if !errors.Is(err, ittybit.ErrNotJSON) && !errors.Is(err, ittybit.ErrNoJobID) {
				t.Errorf("unexpected kind of error: %v", err)
			}
		case c.Ignored == "" && (c.Result.JobID == "" || len(c.Result.JobID) > 256):
			t.Errorf("job id %q", c.Result.JobID)
		default:
			_ = c.Result.State.String() // panics for what is no state
		}
	})
}

func TestOutputsThatAreNotTakenAreCounted(t *testing.T) {
	t.Parallel()
	long := "https://cdn.ittybit.com/" + strings.Repeat("u", 4096)
	many := make([]string, 70)
	for i := range many {
		many[i] = fmt.Sprintf("s3://b/%d.ts", i)
	}
	for name, tt := range map[string]struct {
		output       any
		outputs      any
		kept, missed int
	}{
		"a URL over 4,096 bytes": {output: long, missed: 1},
		"told twice":             {output: map[string]any{"url": long}, outputs: []any{long, "s3://b/o.mp4"}, kept: 1, missed: 1},
		"70":                     {outputs: many, kept: 64, missed: 6},
		"one":                    {output: "s3://b/o.mp4", kept: 1},
		"none":                   {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := json.Marshal(map[string]any{"id": "job_1", "status": "succeeded", "output": tt.output, "outputs": tt.outputs})
			if err != nil {
				t.Fatal(err)
			}
			c, err := ittybit.DecodeCallback(body)
			if err != nil || len(c.Result.Outputs) != tt.kept || c.Result.OutputsOmitted != tt.missed {
				t.Errorf("kept %d, omitted %d, error %v; want %d and %d", len(c.Result.Outputs), c.Result.OutputsOmitted, err, tt.kept, tt.missed)
			}
		})
	}
}

func TestCallbacksThatLookStrange(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body, event string
		ignored     bool
	}{
		"a MIME type":           {body: `{"id":"job_1","type":"application/vnd.apple.mpegurl","status":"succeeded"}`},
		"a MIME type, no dot":   {body: `{"id":"job_1","type":"video/mp4","status":"succeeded"}`},
		"a byte order mark":     {body: "\uFEFF" + `{"event":"job.succeeded","data":{"id":"job_1","status":"succeeded"}}`, event: "job.succeeded"},
		"a probe":               {body: `{"id":"job_1","kind":"probe","status":"succeeded"}`, ignored: true},
		"an import in an event": {body: `{"type":"task.succeeded","data":{"id":"job_1","kind":"Import","status":"succeeded"}}`, event: "task.succeeded", ignored: true},
		"an export":             {body: `{"id":"job_1","kind":"export","status":"succeeded"}`, ignored: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := ittybit.DecodeCallback([]byte(tt.body))
			if err != nil || (c.Ignored != "") != tt.ignored || c.Event != tt.event || (c.Result.JobID == "job_1") == tt.ignored {
				t.Errorf("callback %+v, error %v", c, err)
			}
		})
	}
}
