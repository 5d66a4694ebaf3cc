package localpipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/infra/bundle"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/localaws/awsjson"
	"ittybit-media/scripts/localaws/clock"
	"ittybit-media/scripts/localittybit"
	"ittybit-media/scripts/localpipeline"
)

var binaries map[string]string

func TestMain(m *testing.M) {
	var err error
	if binaries, err = bundle.Compile(context.Background(), bundle.Options{Target: bundle.Host()}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const threeJobs = `[{"prefix":"","suffixes":[".mov",".mp4"],"jobs":[
	{"name":"video","kind":"video","options":{"width":1920,"format":"mp4"}},
	{"name":"thumbnail","kind":"image","options":{"width":640,"format":"webp","start":2}},
	{"name":"audio","kind":"audio","options":{"format":"mp3"}}]}]`

var jobNames = []string{"audio", "thumbnail", "video"}

// run is a pipeline under test.
type run struct {
	*localpipeline.Pipeline
	t     testing.TB
	clock *clock.Clock
	table *results.Table

	mu      sync.Mutex
	steps   []localpipeline.Step
	changed chan struct{} // closed at the next step
}

func start(t testing.TB, ittybit func(*localittybit.Options)) *run {
	t.Helper()
	return startWith(t, func(o *localpipeline.Options) {
		instant := o.Ittybit
		o.Ittybit = func(o *localittybit.Options) {
			instant(o)
			if ittybit != nil {
				ittybit(o)
			}
		}
	})
}

// startWith starts a pipeline whose options were changed.
func startWith(t testing.TB, change func(*localpipeline.Options)) *run {
	t.Helper()
	var routes any
	if err := json.Unmarshal([]byte(threeJobs), &routes); err != nil {
		t.Fatal(err)
	}
	config, _, err := stack.Parse(map[string]any{"routes": routes, "connectionId": "conn_abc123"})
	if err != nil {
		t.Fatal(err)
	}
	r := &run{t: t, clock: clock.New(), changed: make(chan struct{})}
	o := localpipeline.Options{
		Stack:    config,
		Binaries: binaries,
		Clock:    r.clock,
		Observe:  r.observe,
		Ittybit:  func(o *localittybit.Options) { o.Instant = true },
	}
	change(&o)
	if r.Pipeline, err = localpipeline.Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	r.table = results.New(r.DynamoDB(), r.Table, results.Options{})
	return r
}

func (r *run) observe(s localpipeline.Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, s)
	close(r.changed)
	r.changed = make(chan struct{})
}

// until waits until the condition holds; it can change with every step.
func (r *run) until(what string, holds func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, s := range r.steps[max(0, len(r.steps)-30):] {
				r.t.Logf("%s %s %q %s", s.Source, s.Kind, s.Upload.Key, s.Text)
			}
			r.t.Fatalf("it never came to: %s", what)
		}
	}
}

// has reports whether there was a step of that kind for a key, and its text.
func (r *run) has(kind localpipeline.Kind, key string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.steps {
		if s.Kind == kind && s.Upload.Key == key {
			return s.Text, true
		}
	}
	return "", false
}

func (r *run) put(key, body string) {
	r.t.Helper()
	if _, err := r.S3().PutObject(r.t.Context(), &s3.PutObjectInput{Bucket: aws.String(r.Bucket), Key: aws.String(key), Body: strings.NewReader(body)}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) rows(key string) []results.Row {
	r.t.Helper()
	var rows []results.Row
	for row, err := range r.table.Key(r.t.Context(), key) {
		if err != nil {
			r.t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// succeeded reports whether each job of the upload has its one row, and that
// row is final.
func (r *run) succeeded(key string) bool {
	var names []string
	for _, row := range r.rows(key) {
		if row.State == "succeeded" && row.Open == "" && row.OutputURL != "" {
			names = append(names, row.Job)
		}
	}
	slices.Sort(names)
	return slices.Equal(names, jobNames)
}

// wantOnce checks that there is one job at Ittybit for each of the upload's
// jobs, and one row.
func (r *run) wantOnce(key string) {
	r.t.Helper()
	made := map[string]string{}
	for _, j := range r.Ittybit.Jobs() {
		if j.Input == "s3://"+r.Bucket+"/"+key {
			if other, ok := made[j.ID]; ok {
				r.t.Errorf("%q: job %s for %s is there twice", key, j.ID, other)
			}
			made[j.ID] = j.Metadata["job"]
		}
	}
	if got := slices.Sorted(maps.Values(made)); !slices.Equal(got, jobNames) {
		r.t.Errorf("%q: jobs at Ittybit %v", key, got)
	}
	rows := map[string]string{}
	for _, row := range r.rows(key) {
		rows[row.JobID()] = row.Job
	}
	if !maps.Equal(rows, made) {
		r.t.Errorf("%q: rows %v, at Ittybit %v", key, rows, made)
	}
}

func TestOddKeysGoTheWholeWayUnchanged(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	keys := []string{
		"a b.mov", "a+b.mov", "%41.mov", "a#b.mov", "a?b&c=d.mov", `"quoted"'s.mov`, "<b>.mov", "emoji 😀.mov", "ملف\u200f.mov",
		strings.Repeat("k", 1020) + ".mov", "up/../over.mov", "a//b.mov", "x.MOV", "x.Mp4", "{brace}.mov",
	}
	for _, key := range keys {
		r.put(key, "x")
	}
	for _, key := range keys {
		r.until(fmt.Sprintf("three results of %q", key), func() bool { return r.succeeded(key) })
		r.wantOnce(key)
		for _, row := range r.rows(key) {
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
		kind      localpipeline.Kind
		says      string
	}{
		{"notes.txt", "x", localpipeline.Unmatched, "notes.txt"},
		{"x.mp4.part", "x", localpipeline.Unmatched, "x.mp4.part"},
		{"folder/", "", localpipeline.Unmatched, "folder/"},
		{"folder.mov/", "", localpipeline.Unmatched, "folder.mov/"},
		{"empty.mov", "", localpipeline.Skipped, "0 bytes"},
		{"ittybit-output/done.mp4", "x", localpipeline.Skipped, "output folder"},
	} {
		r.put(tt.key, tt.body)
		r.until(tt.key+" is "+string(tt.kind), func() bool { _, ok := r.has(tt.kind, tt.key); return ok })
		if text, _ := r.has(tt.kind, tt.key); !strings.Contains(text, tt.says) {
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
		wg.Go(func() { r.put(key(i), "x") })
	}
	wg.Wait()
	for i := range n {
		r.until("results of "+key(i), func() bool { return r.succeeded(key(i)) })
		r.wantOnce(key(i))
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
	r = start(t, func(o *localittybit.Options) {
		o.Record = func(localittybit.Request, []byte) {
			kill.Do(func() {
				go func() {
					defer close(killed)
					r.Dispatch.Kill()
				}()
				<-killed // the process is gone before it can get an answer
			})
		}
	})
	r.put("a.mov", "x")
	r.until("the upload is in the retry queue", func() bool { _, ok := r.has(localpipeline.Waiting, "a.mov"); return ok })
	r.clock.Advance(media.RetryDelay)
	r.until("three results", func() bool { return r.succeeded("a.mov") })
	r.wantOnce("a.mov")
}

func TestAnOutageMendsItself(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	down := true
	r := start(t, func(o *localittybit.Options) {
		o.Fault = func(localittybit.Request) localittybit.Fault {
			mu.Lock()
			defer mu.Unlock()
			if down {
				// Shorter retries inside the invocation than a real 503 would get.
				return localittybit.Fault{Status: 503, RetryAfter: "3600"}
			}
			return localittybit.Fault{}
		}
	})
	r.put("a.mov", "x")
	r.until("the retry queue has it", func() bool { _, ok := r.has(localpipeline.Waiting, "a.mov"); return ok })
	r.clock.Advance(media.RetryDelay)
	// A batch of which a message failed is no step to wait for.
	if err := r.Quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, d := r.Dispatch.Stats().Invocations, r.RetryQueue.Depth(); n != 2 || d.InFlight != 1 {
		t.Errorf("it did not fail again: %d invocations, %+v", n, d)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	r.clock.Advance(media.RetryVisibility)
	r.until("three results", func() bool { return r.succeeded("a.mov") })
	r.wantOnce("a.mov")
}

func TestAfterThreeDaysItIsADeadLetter(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *localittybit.Options) {
		o.Fault = func(localittybit.Request) localittybit.Fault {
			return localittybit.Fault{Status: 402, Kind: "payment_required", Message: "the bill"}
		}
	})
	began := r.clock.Now()
	r.put("a.mov", "x")
	r.until("the retry queue has it", func() bool { _, ok := r.has(localpipeline.Waiting, "a.mov"); return ok })
	for len(r.DeadLetter.Messages()) == 0 {
		if err := r.RetryQueue.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(r.DeadLetter.Messages()) > 0 {
			break
		}
		next, ok := r.clock.Next()
		if !ok {
			t.Fatal("nothing is left to wait for, and no dead letter")
		}
		r.clock.Advance(next.Sub(r.clock.Now()))
	}
	if after := r.clock.Now().Sub(began); after < 71*time.Hour || after > 73*time.Hour {
		t.Errorf("given up after %v", after)
	}
	if r.Dispatch.Stats().Invocations != 1+media.RetryReceives {
		t.Errorf("%d invocations", r.Dispatch.Stats().Invocations)
	}
	if n := len(r.rows("a.mov")) + len(r.Ittybit.Jobs()); n != 0 {
		t.Errorf("%d rows and jobs", n)
	}
}

func TestCallbacksDoubledAndOutOfOrder(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *localittybit.Options) {
		o.NonFinalCallbacks = true
		o.Deliveries = func(j localittybit.Job) []localittybit.Delivery {
			switch {
			case j.Status == localittybit.Processing: // late
				return []localittybit.Delivery{{After: time.Hour, Shape: localittybit.Bare}}
			case j.Kind == "video": // twice, and a day late
				return []localittybit.Delivery{{}, {After: time.Second, Shape: localittybit.Event}, {After: 24 * time.Hour}}
			default:
				return []localittybit.Delivery{{Shape: localittybit.TypedData}}
			}
		}
	})
	r.put("a.mov", "x")
	r.until("three results", func() bool { return r.succeeded("a.mov") })
	before, err := json.Marshal(r.rows("a.mov"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.clock.Advance(24 * time.Hour)
	}
	if err := r.Ittybit.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.Ittybit.Callbacks().Delivered; n != 8 {
		t.Errorf("%d callbacks delivered, want 3 late ones, 3 for the video and 2", n)
	}
	after, err := json.Marshal(r.rows("a.mov"))
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
	r = start(t, func(o *localittybit.Options) {
		var once sync.Once
		o.Deliveries = func(localittybit.Job) []localittybit.Delivery {
			once.Do(func() {
				r.AWS.Intercept(func(_ context.Context, c awsjson.Call) error {
					if c.Operation == "UpdateItem" {
						return &awsjson.Fault{Type: "ValidationException", Message: "down"}
					}
					return nil
				})
			})
			return []localittybit.Delivery{{}}
		}
	})
	r.put("a.mov", "x")
	r.until("a callback failed", func() bool {
		for _, text := range r.logged("webhook") {
			if strings.Contains(text, "not stored") {
				return true
			}
		}
		return false
	})
	r.AWS.Intercept(nil)
	r.until("what dispatch could not note is in the retry queue, or noted", func() bool {
		_, failed := r.has(localpipeline.Waiting, "a.mov")
		_, dispatched := r.has(localpipeline.Dispatched, "a.mov")
		return failed || dispatched
	})
	r.clock.Advance(media.RetryDelay)
	r.until("three results", func() bool {
		r.clock.Advance(time.Second) // Ittybit sends again with growing pauses
		return r.succeeded("a.mov")
	})
	r.wantOnce("a.mov")
}

func (r *run) logged(source string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var texts []string
	for _, s := range r.steps {
		if s.Kind == localpipeline.Logged && s.Source == source {
			texts = append(texts, s.Text)
		}
	}
	return texts
}

// The guide's callback, posted through the HTTP API, gives the guide's row.
func TestTheGuidesCallbackGivesTheGuidesRow(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	payload, err := os.ReadFile(filepath.Join("..", "..", "handlers", "ittybit", "testdata", "w2_guide.json"))
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
	rows := r.rows("uploads/video.mov")
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
	r := start(t, func(o *localittybit.Options) {
		o.Deliveries = func(localittybit.Job) []localittybit.Delivery { return nil }
	})
	r.put("a.mov", "x")
	r.put("b.mov", "x")
	r.until("both are dispatched", func() bool { return len(r.rows("a.mov")) == 3 && len(r.rows("b.mov")) == 3 })
	before, err := json.Marshal([][]results.Row{r.rows("a.mov"), r.rows("b.mov")})
	if err != nil {
		t.Fatal(err)
	}
	var a, b localittybit.Job
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
	after, err := json.Marshal([][]results.Row{r.rows("a.mov"), r.rows("b.mov")})
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
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho it is broken >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		options localpipeline.Options
		says    string
	}{
		"a crash":                 {localpipeline.Options{Binaries: map[string]string{"webhook": broken}}, "it is broken"},
		"no handler":              {localpipeline.Options{Binaries: map[string]string{"webhook": binaries["webhook"]}}, "no binary of the handler"},
		"a bad address":           {localpipeline.Options{Binaries: binaries, Addr: "127.0.0.1:99999"}, "S3 endpoint"},
		"an unusable environment": {localpipeline.Options{Binaries: binaries, Env: map[string]map[string]string{"dispatch": {"DAILY_JOB_LIMIT": "many"}}}, "DAILY_JOB_LIMIT"},
	} {
		tt.options.Stack = config
		p, err := localpipeline.Start(t.Context(), tt.options)
		if err == nil {
			p.Close()
			t.Errorf("%s: it starts", name)
		} else if !strings.Contains(err.Error(), tt.says) || strings.Contains(strings.TrimSpace(err.Error()), "\n") {
			t.Errorf("%s: %q", name, err)
		}
	}
}
