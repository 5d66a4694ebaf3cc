package ittybit_test

import (
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
		{"succeeded", "", "succeeded", media.Succeeded, false},
		{"READY", "", "READY", media.Succeeded, false},
		{"success", "", "success", media.Succeeded, false},
		{"failed", "", "failed", media.Failed, false},
		{"errored", "", "errored", media.Failed, false},
		{"cancelled", "", "cancelled", media.Cancelled, false},
		{"queued", "", "queued", media.Queued, false},
		{"pending", "", "pending", media.Queued, false},
		{"waiting", "", "waiting", media.Queued, false},
		{"validating", "", "validating", media.Processing, false},
		{"processing", "", "processing", media.Processing, false},
		{"finishing", "", "finishing", media.Processing, false},
		{"", "", "", media.Queued, false},
		{"", "job.succeeded", "succeeded", media.Succeeded, false},
		{"", "task.completed", "completed", media.Succeeded, false},
		{"", "job.failed", "failed", media.Failed, false},
		{"", "job.canceled", "canceled", media.Cancelled, false},
		{"", "task.created", "created", media.Queued, false},
		{"", "job.processing", "processing", media.Processing, false},
		{"", "task.updated", "", media.Queued, false},
		{"completed", "job.succeeded", "completed", media.Succeeded, false},
		{"processing", "job.failed", "failed", media.Failed, true},
		{"baking", "job.failed", "failed", media.Failed, false},
		{"succeeded", "job.failed", "succeeded", media.Succeeded, true},
		{"succeeded", "job.processing", "succeeded", media.Succeeded, true},
		{"processing", "job.created", "processing", media.Processing, false},
		{"succeeded", "completed", "succeeded", media.Succeeded, false}, // an event without a prefix is about the job
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
		{"nothing", ``, ittybit.ErrNotJSON},
		{"form", `id=job_1`, ittybit.ErrNotJSON},
		{"cut", `{"id":"job_1"`, ittybit.ErrNotJSON},
		{"two documents", `{"id":"job_1"}{}`, ittybit.ErrNotJSON},
		{"deep nesting", strings.Repeat(`{"data":`, 20_000) + `1` + strings.Repeat(`}`, 20_000), ittybit.ErrNotJSON},
		{"null", `null`, ittybit.ErrNoJobID},
		{"list", `[{"id":"job_1"}]`, ittybit.ErrNoJobID},
		{"text", `"job_1"`, ittybit.ErrNoJobID},
		{"empty object", `{}`, ittybit.ErrNoJobID},
		{"empty id", `{"id":""}`, ittybit.ErrNoJobID},
		{"number as id", `{"id":1}`, ittybit.ErrNoJobID},
		{"long id", `{"id":"` + strings.Repeat("x", 257) + `"}`, ittybit.ErrNoJobID},
		{"data without id", `{"id":"evt_1","event":"job.failed","data":{"status":"failed"}}`, ittybit.ErrNoJobID},
		{"event without data", `{"id":"evt_1","object":"event","kind":"job.failed"}`, ittybit.ErrNoJobID},
		{"event with strange data", `{"id":"evt_1","object":"event","kind":"job.failed","data":{"id":5}}`, ittybit.ErrNoJobID},
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
		{"status is a number", `"status":5`, func(r media.Result) bool { return r.Status == "" && r.State == media.Queued }},
		{"long status", `"status":"` + strings.Repeat("é", 100) + `"`, func(r media.Result) bool { return r.Status == strings.Repeat("é", 32) }},
		{"escapes", `"status":"\u0064one\n","kind":"vid\"eo"`, func(r media.Result) bool { return r.Status == "done\n" && r.Kind == `vid"eo` }},
		{"no UTF-8", `"status":"` + "d\xffone" + `"`, func(r media.Result) bool { return r.Status == "d\uFFFDone" }},
		{"kind is an object", `"kind":{}`, func(r media.Result) bool { return r.Kind == "" }},
		{"input is a list", `"input":[]`, func(r media.Result) bool { return r.Input == "" }},
		{"input without url", `"input":{"id":"file_1"}`, func(r media.Result) bool { return r.Input == "" }},
		{"long input", `"input":"s3://` + strings.Repeat("x", 5000) + `"`, func(r media.Result) bool { return r.Input == "" }},
		{"output is a number", `"output":5`, func(r media.Result) bool { return r.Outputs == nil }},
		{"output width is a word", `"output":{"url":"s3://b/k","width":"wide","height":-1}`, func(r media.Result) bool {
			return reflect.DeepEqual(r.Outputs, []media.Output{{URL: "s3://b/k"}})
		}},
		{"many outputs", `"outputs":[` + manyURLs(500) + `]`, func(r media.Result) bool {
			return len(r.Outputs) == 64 && r.Outputs[0].URL == "s3://out/0"
		}},
		{"error is false", `"error":false`, func(r media.Result) bool { return r.Error == "false" }},
		{"long error", `"error":"` + strings.Repeat("x", 5000) + `"`, func(r media.Result) bool { return len(r.Error) == 1024 }},
		{"metadata is a list", `"metadata":["a"]`, func(r media.Result) bool { return r.Metadata == nil }},
		{"negative duration", `"duration_ms":-1`, func(r media.Result) bool { return r.DurationMS == nil }},
		{"endless duration", `"duration_ms":"Infinity"`, func(r media.Result) bool { return r.DurationMS == nil }},
		{"duration is a word", `"duration_ms":"long"`, func(r media.Result) bool { return r.DurationMS == nil }},
		{"no duration", `"duration_ms":null`, func(r media.Result) bool { return r.DurationMS == nil }},
		{"duration 0", `"duration_ms":0`, func(r media.Result) bool { return r.DurationMS != nil && *r.DurationMS == 0 }},
		{"seconds as text", `"created_at":"1775210400"`, func(r media.Result) bool { return r.CreatedAt.Equal(ms(1775210400000)) }},
		{"time NaN", `"created_at":"NaN"`, func(r media.Result) bool { return r.CreatedAt.IsZero() }},
		{"time 0", `"created_at":0`, func(r media.Result) bool { return r.CreatedAt.IsZero() }},
		{"time before 1970", `"created_at":-5`, func(r media.Result) bool { return r.CreatedAt.IsZero() }},
		{"nanoseconds", `"created_at":1775210400000000000`, func(r media.Result) bool { return r.CreatedAt.IsZero() }},
		{"first end that is a time", `"finished_at":null,"completed_at":{},"succeeded_at":1775210404000,"completed":1`, func(r media.Result) bool {
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
