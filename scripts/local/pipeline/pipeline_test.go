package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// run is a pipeline under test.
type run struct {
	*pipelinetest.Run
	t testing.TB
}

func start(t testing.TB, ittybit func(*fakeittybit.Options)) *run {
	t.Helper()
	return startWith(t, func(o *pipeline.Options) { pipelinetest.WithIttybit(o, ittybit) })
}

// startWith starts a pipeline whose options were changed.
func startWith(t testing.TB, change func(*pipeline.Options)) *run {
	t.Helper()
	return &run{pipelinetest.Start(t, change), t}
}

func TestOddKeysGoTheWholeWayUnchanged(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	keys := []string{
		"a b.mov", "a+b.mov", "%41.mov", "a#b.mov", "a?b&c=d.mov", `"quoted"'s.mov`, "<b>.mov", "emoji 😀.mov", "ملف\u200f.mov",
		strings.Repeat("k", 1020) + ".mov", "up/../over.mov", "a//b.mov", "x.MOV", "x.Mp4", "{brace}.mov",
	}
	for _, key := range keys {
		r.Put(key, "x")
	}
	for _, key := range keys {
		r.Until(fmt.Sprintf("three results of %q", key), func() bool { return r.Succeeded(key) })
	}
	r.Quiet() // a callback may be faster than what dispatch notes of the upload
	for _, key := range keys {
		r.WantOnce(key)
		for _, row := range r.Rows(key) {
			if row.Input != "s3://"+r.Bucket+"/"+key || row.Bucket != r.Bucket {
				t.Errorf("%q: row %+v", key, row)
			}
		}
	}
}

func TestWhatIsNotPickedUpSaysWhy(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, tt := range []struct {
		key, body string
		kind      pipeline.Kind
		says      string
	}{
		{"notes.txt", "x", pipeline.Unmatched, "notes.txt"},
		{"x.mp4.part", "x", pipeline.Unmatched, "x.mp4.part"},
		{"folder/", "", pipeline.Unmatched, "folder/"},
		{"folder.mov/", "", pipeline.Unmatched, "folder.mov/"},
		{"empty.mov", "", pipeline.Skipped, "0 bytes"},
		{"ittybit-output/done.mp4", "x", pipeline.Skipped, "output folder"},
	} {
		r.Put(tt.key, tt.body)
		r.Until(tt.key+" is "+string(tt.kind), func() bool { _, ok := r.Has(tt.kind, tt.key); return ok })
		if text, _ := r.Has(tt.kind, tt.key); !strings.Contains(text, tt.says) {
			t.Errorf("%s: %q does not say %q", tt.key, text, tt.says)
		}
	}
	if n := len(r.Ittybit.Jobs()); n != 0 {
		t.Errorf("%d jobs", n)
	}
}

func TestManyUploadsAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	var wg sync.WaitGroup
	key := func(i int) string { return fmt.Sprintf("%d.mov", i) }
	const n = 40
	for i := range n {
		wg.Go(func() { r.Put(key(i), "x") })
	}
	wg.Wait()
	for i := range n {
		r.Until("results of "+key(i), func() bool { return r.Succeeded(key(i)) })
		r.WantOnce(key(i))
	}
	if d := r.RetryQueue.Depth(); d.Visible+d.InFlight+d.Delayed != 0 {
		t.Errorf("the retry queue has %+v", d)
	}
}

// A dispatch that dies with a POST on its way: Ittybit has taken one job or
// more, the table knows of none.
func TestDispatchIsKilledAfterItsFirstPost(t *testing.T) {
	t.Parallel()
	var r *run
	var kill sync.Once
	killed := make(chan struct{})
	r = start(t, func(o *fakeittybit.Options) {
		o.Record = func(fakeittybit.Request, []byte) {
			kill.Do(func() {
				go func() {
					defer close(killed)
					r.Dispatch.Kill()
				}()
				<-killed // the process is gone before it can get an answer
			})
		}
	})
	r.Put("a.mov", "x")
	r.Until("the upload is in the retry queue", func() bool { _, ok := r.Has(pipeline.Waiting, "a.mov"); return ok })
	r.Clock.Advance(media.RetryDelay)
	r.Until("three results", func() bool { return r.Succeeded("a.mov") })
	r.WantOnce("a.mov")
}

func TestAnOutageMendsItself(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	down := true
	r := start(t, func(o *fakeittybit.Options) {
		o.Fault = func(fakeittybit.Request) fakeittybit.Fault {
			mu.Lock()
			defer mu.Unlock()
			if down {
				// Shorter retries inside the invocation than a real 503 would get.
				return fakeittybit.Fault{Status: 503, RetryAfter: "3600"}
			}
			return fakeittybit.Fault{}
		}
	})
	r.Put("a.mov", "x")
	r.Until("the retry queue has it", func() bool { _, ok := r.Has(pipeline.Waiting, "a.mov"); return ok })
	r.Clock.Advance(media.RetryDelay)
	// A batch of which a message failed is no step to wait for.
	r.Quiet()
	if n, d := r.Dispatch.Stats().Invocations, r.RetryQueue.Depth(); n != 2 || d.InFlight != 1 {
		t.Errorf("it did not fail again: %d invocations, %+v", n, d)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	r.Clock.Advance(media.RetryVisibility)
	r.Until("three results", func() bool { return r.Succeeded("a.mov") })
	r.WantOnce("a.mov")
}

func TestAfterThreeDaysItIsADeadLetter(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.Fault = func(fakeittybit.Request) fakeittybit.Fault {
			return fakeittybit.Fault{Status: 402, Kind: "payment_required", Message: "the bill"}
		}
	})
	began := r.Clock.Now()
	r.Put("a.mov", "x")
	r.Until("the retry queue has it", func() bool { _, ok := r.Has(pipeline.Waiting, "a.mov"); return ok })
	for len(r.DeadLetter.Messages()) == 0 {
		if err := r.RetryQueue.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(r.DeadLetter.Messages()) > 0 {
			break
		}
		next, ok := r.Clock.Next()
		if !ok {
			t.Fatal("nothing is left to wait for, and no dead letter")
		}
		r.Clock.Advance(next.Sub(r.Clock.Now()))
	}
	if after := r.Clock.Now().Sub(began); after < 71*time.Hour || after > 73*time.Hour {
		t.Errorf("given up after %v", after)
	}
	if r.Dispatch.Stats().Invocations != 1+media.RetryReceives {
		t.Errorf("%d invocations", r.Dispatch.Stats().Invocations)
	}
	if n := len(r.Rows("a.mov")) + len(r.Ittybit.Jobs()); n != 0 {
		t.Errorf("%d rows and jobs", n)
	}
}

func TestCallbacksDoubledAndOutOfOrder(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.NonFinalCallbacks = true
		o.Deliveries = func(j fakeittybit.Job) []fakeittybit.Delivery {
			switch {
			case j.Status == fakeittybit.Processing: // late
				return []fakeittybit.Delivery{{After: time.Hour, Shape: fakeittybit.Bare}}
			case j.Kind == "video": // twice, and a day late
				return []fakeittybit.Delivery{{}, {After: time.Second, Shape: fakeittybit.Event}, {After: 24 * time.Hour}}
			default:
				return []fakeittybit.Delivery{{Shape: fakeittybit.TypedData}}
			}
		}
	})
	r.Put("a.mov", "x")
	r.Until("three results", func() bool { return r.Succeeded("a.mov") })
	before, err := json.Marshal(r.Rows("a.mov"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.Clock.Advance(24 * time.Hour)
	}
	if err := r.Ittybit.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.Ittybit.Callbacks().Delivered; n != 8 {
		t.Errorf("%d callbacks delivered, want 3 late ones, 3 for the video and 2", n)
	}
	after, err := json.Marshal(r.Rows("a.mov"))
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("the rows changed:\n%s\n%s", before, after)
	}
}

func TestWebhookMayBeDown(t *testing.T) {
	t.Parallel()
	var r *run
	r = start(t, func(o *fakeittybit.Options) {
		var once sync.Once
		o.Deliveries = func(fakeittybit.Job) []fakeittybit.Delivery {
			once.Do(func() {
				r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
					if c.Operation == "UpdateItem" {
						return &endpoint.Fault{Type: "ValidationException", Message: "down"}
					}
					return nil
				})
			})
			return []fakeittybit.Delivery{{}}
		}
	})
	r.Put("a.mov", "x")
	r.Until("a callback failed", func() bool {
		for _, text := range r.Logged("webhook") {
			if strings.Contains(text, "not stored") {
				return true
			}
		}
		return false
	})
	r.AWS.Intercept(nil)
	r.Until("what dispatch could not note is in the retry queue, or noted", func() bool {
		_, failed := r.Has(pipeline.Waiting, "a.mov")
		_, dispatched := r.Has(pipeline.Dispatched, "a.mov")
		return failed || dispatched
	})
	r.Clock.Advance(media.RetryDelay)
	r.Until("three results", func() bool {
		r.Clock.Advance(time.Second) // Ittybit sends again with growing pauses
		return r.Succeeded("a.mov")
	})
	r.WantOnce("a.mov")
}

// The guide's callback, posted through the HTTP API, gives the guide's row.
func TestTheGuidesCallbackGivesTheGuidesRow(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	payload, err := os.ReadFile(filepath.Join("..", "..", "..", "handlers", "ittybit", "testdata", "w2_guide.json"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := media.NewCallbackKeys(r.CallbackKeys)
	if err != nil {
		t.Fatal(err)
	}
	upload := media.Upload{Bucket: "my-media-bucket", Key: "uploads/video.mov", ETag: "e"}.ID(r.Table)
	token, err := keys.Sign(media.JobRef{Bucket: "my-media-bucket", Key: "uploads/video.mov", Upload: upload, Job: "video"})
	if err != nil {
		t.Fatal(err)
	}
	if status, body := post(t, r.WebhookURL+"?token="+token, payload); status != http.StatusOK {
		t.Fatal(status, body)
	}
	rows := r.Rows("uploads/video.mov")
	if len(rows) != 1 {
		t.Fatalf("rows %+v", rows)
	}
	data, err := json.Marshal(rows[0])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"pk": "uploads/video.mov", "sk": "task#task_abc123", "status": "completed", "kind": "video",
		"output_url": "https://cdn.ittybit.com/abc/video.mp4", "duration_ms": 4820.0, "created_at": 1775210400000.0, "completed_at": 1775210404000.0,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

func TestForgedCallbacksChangeNothing(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.Deliveries = func(fakeittybit.Job) []fakeittybit.Delivery { return nil }
	})
	r.Put("a.mov", "x")
	r.Put("b.mov", "x")
	r.Until("both are dispatched", func() bool { return len(r.Rows("a.mov")) == 3 && len(r.Rows("b.mov")) == 3 })
	before, err := json.Marshal([][]results.Row{r.Rows("a.mov"), r.Rows("b.mov")})
	if err != nil {
		t.Fatal(err)
	}
	var a, b fakeittybit.Job
	for _, j := range r.Ittybit.Jobs() {
		if j.Metadata["job"] == "video" && strings.HasSuffix(j.Input, "a.mov") {
			a = j
		} else if j.Metadata["job"] == "video" {
			b = j
		}
	}
	forged := fmt.Appendf(nil, `{"id":%q,"status":"failed","kind":"video","metadata":{"source_key":"a.mov"}}`, a.ID)
	_, token, _ := strings.Cut(a.WebhookURL, "?token=")
	_, other, _ := strings.Cut(b.WebhookURL, "?token=")
	for name, tt := range map[string]struct {
		query string
		body  []byte
		want  int
	}{
		"no token":                {"", forged, 401},
		"another upload's token":  {"?token=" + other, forged, 401},
		"half a token":            {"?token=" + token[:len(token)/2], forged, 401},
		"over 1 MiB":              {"?token=" + token, append(forged, bytes.Repeat([]byte(" "), 1<<20)...), 413},
		"no JSON":                 {"?token=" + token, []byte("completed"), 400},
		"another path":            {"/other?token=" + token, forged, 404},
		"not about a job":         {"?token=" + token, []byte(`{"event":"media.created","data":{"id":"m"}}`), 200},
		"no token, large":         {"", bytes.Repeat([]byte(" "), 1<<20+1), 413},
		"a token in another name": {"?tokn=" + token, forged, 401},
	} {
		if status, body := post(t, r.WebhookURL+tt.query, tt.body); status != tt.want {
			t.Errorf("%s: %d %s, want %d", name, status, body, tt.want)
		}
	}
	after, err := json.Marshal([][]results.Row{r.Rows("a.mov"), r.Rows("b.mov")})
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("the rows changed:\n%s\n%s", before, after)
	}
	// What the forgeries are made from is not itself at fault.
	if status, body := post(t, r.WebhookURL+"?token="+token, forged); status != 200 {
		t.Errorf("the real one: %d %s", status, body)
	}
}

func post(t *testing.T, url string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func TestWhatKeepsItFromStartingIsOneLine(t *testing.T) {
	t.Parallel()
	config, _, err := stack.Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	binaries := pipelinetest.Binaries(t)
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho it is broken >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		options pipeline.Options
		says    string
	}{
		"a crash":                 {pipeline.Options{Binaries: map[string]string{"webhook": broken}}, "it is broken"},
		"no handler":              {pipeline.Options{Binaries: map[string]string{"webhook": binaries["webhook"]}}, "no binary of the handler"},
		"a bad address":           {pipeline.Options{Binaries: binaries, Addr: "127.0.0.1:99999"}, "S3 endpoint"},
		"an unusable environment": {pipeline.Options{Binaries: binaries, Env: map[string]map[string]string{"dispatch": {"DAILY_JOB_LIMIT": "many"}}}, "DAILY_JOB_LIMIT"},
	} {
		tt.options.Stack = config
		p, err := pipeline.Start(t.Context(), tt.options)
		if err == nil {
			p.Close()
			t.Errorf("%s: it starts", name)
		} else if !strings.Contains(err.Error(), tt.says) || strings.Contains(strings.TrimSpace(err.Error()), "\n") {
			t.Errorf("%s: %q", name, err)
		}
	}
}
