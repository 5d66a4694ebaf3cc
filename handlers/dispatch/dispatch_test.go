package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
)

const (
	tableName  = "results"
	webhookURL = "https://xyz.lambda-url.us-east-1.on.aws/webhook"
	apiKey     = "ittybit_test_key"
)

// threeJobs is the guide's fan-out.
const threeJobs = `{"routes":[{"prefix":"","suffixes":[".mov",".mp4"],"maxBytes":10000000,"jobs":[
	{"name":"video","kind":"video","options":{"width":1920,"format":"mp4","quality":"high"}},
	{"name":"thumbnail","kind":"image","options":{"width":640,"format":"webp","start":2}},
	{"name":"audio","kind":"audio","options":{"format":"mp3","quality":"medium"}}]}]}`

var jobNames = []string{"audio", "thumbnail", "video"}

// world is dispatch, wired as in production, between stand-ins of AWS and
// Ittybit.
type world struct {
	t       testing.TB
	aws     *handlertest.AWS
	ittybit *fakeittybit.Server
	table   *results.Table
	vars    map[string]string
	*handler
	logs *buffer

	mu     sync.Mutex
	bodies [][]byte // of the POSTs
}

// buffer may be written to by several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

type setup struct {
	routes  string
	vars    map[string]string
	ittybit fakeittybit.Options
}

func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	w := &world{t: t, aws: handlertest.NewAWS(), logs: &buffer{}}
	w.aws.Secrets.Set("ittybit/key", apiKey+"\n")
	w.aws.Secrets.Set("callback/keys", `["`+strings.Repeat("k", 32)+`"]`)
	awsServer := httptest.NewServer(w.aws)
	t.Cleanup(awsServer.Close)
	dynamo := dynamodb.Client(awsServer.URL)
	if _, err := dynamo.CreateTable(t.Context(), results.CreateTableInput(tableName)); err != nil {
		t.Fatal(err)
	}
	w.table = results.New(dynamo, tableName, results.Options{})

	o := s.ittybit
	o.Keys = append(o.Keys, apiKey)
	o.Instant = true
	o.Deliveries = func(fakeittybit.Job) []fakeittybit.Delivery { return nil } // nobody answers them here
	o.Record = func(_ fakeittybit.Request, body []byte) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.bodies = append(w.bodies, bytes.Clone(body))
	}
	var err error
	if w.ittybit, err = fakeittybit.New(o); err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(w.ittybit)
	t.Cleanup(func() {
		_ = w.ittybit.Close() // before the server, which waits for its requests
		api.Close()
	})

	root := t.TempDir()
	if s.routes == "" {
		s.routes = threeJobs
	}
	if err := os.WriteFile(filepath.Join(root, media.RoutesFile), []byte(s.routes), 0o600); err != nil {
		t.Fatal(err)
	}
	w.vars = map[string]string{
		"AWS_REGION":             "us-east-1",
		"AWS_ACCESS_KEY_ID":      "AKIDTEST",
		"AWS_SECRET_ACCESS_KEY":  "secret",
		"AWS_ENDPOINT_URL":       awsServer.URL,
		"LAMBDA_TASK_ROOT":       root,
		"TABLE_NAME":             tableName,
		"WEBHOOK_URL":            webhookURL,
		"ITTYBIT_CONNECTION_ID":  "conn_abc123",
		"ITTYBIT_API_URL":        api.URL,
		"ITTYBIT_API_KEY_SECRET": "ittybit/key",
		"CALLBACK_KEY_SECRET":    "callback/keys",
	}
	maps.Copy(w.vars, s.vars)
	w.handler = w.wire()
	return w
}

// wire is another instance of the function.
func (w *world) wire() *handler {
	w.t.Helper()
	h, err := wire(func(name string) string { return w.vars[name] })
	if err != nil {
		w.t.Fatal(err)
	}
	h.log = slog.New(slog.NewJSONHandler(w.logs, nil))
	h.metrics = telemetry.NewMetrics(w.logs, "Test")
	return h
}

func (w *world) invoke(payload []byte) (answer, error) {
	w.t.Helper()
	out, err := w.Invoke(w.t.Context(), payload)
	var a answer
	if err == nil {
		if err := json.Unmarshal(out, &a); err != nil {
			w.t.Fatal(err)
		}
	}
	return a, err
}

// queue delivers messages as the retry queue does and returns the ids of those
// that failed.
func (w *world) queue(bodies ...[]byte) []string {
	w.t.Helper()
	var e events.SQSEvent
	for i, body := range bodies {
		e.Records = append(e.Records, events.SQSMessage{MessageId: fmt.Sprintf("m%d", i), Body: string(body), EventSource: "aws:sqs"})
	}
	payload, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := w.Invoke(w.t.Context(), payload)
	if err != nil {
		w.t.Fatal(err)
	}
	var r events.SQSEventResponse
	if err := json.Unmarshal(out, &r); err != nil {
		w.t.Fatal(err)
	}
	failed := []string{}
	for _, f := range r.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	slices.Sort(failed)
	return failed
}

func (w *world) rows(key string) []results.Row {
	w.t.Helper()
	var rows []results.Row
	for row, err := range w.table.Key(w.t.Context(), key) {
		if err != nil {
			w.t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// wantJobs checks the promise: one job at Ittybit and one row for each name,
// and that they are the same ones.
func (w *world) wantJobs(key string, names ...string) {
	w.t.Helper()
	atIttybit, inTable := map[string]string{}, map[string]string{}
	var made, rows []string
	for _, j := range w.ittybit.Jobs() {
		if j.Metadata["source_key"] == key {
			made = append(made, j.Metadata["job"])
			atIttybit[j.Metadata["job"]] = j.ID
		}
	}
	for _, r := range w.rows(key) {
		rows = append(rows, r.Job)
		inTable[r.Job] = r.JobID()
	}
	slices.Sort(made)
	slices.Sort(rows)
	slices.Sort(names)
	if !slices.Equal(made, names) || !slices.Equal(rows, names) || !maps.Equal(atIttybit, inTable) {
		w.t.Errorf("at Ittybit %v, rows %v, want %v", atIttybit, inTable, names)
	}
}

// lines are the log lines, and the metrics among them, that have the field.
func (w *world) lines(field string) []map[string]any {
	var found []map[string]any
	for line := range strings.Lines(w.logs.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			w.t.Fatalf("%v in %q", err, line)
		}
		if _, ok := m[field]; ok {
			found = append(found, m)
		}
	}
	return found
}

// count is the sum of a metric, by its dimension or "".
func (w *world) count(m telemetry.Metric) map[string]float64 {
	sums := map[string]float64{}
	for _, line := range w.lines(m.Name) {
		dimension, _ := line[m.Dimension].(string)
		sums[dimension] += line[m.Name].(float64)
	}
	return sums
}

func (w *world) wantCount(m telemetry.Metric, want map[string]float64) {
	w.t.Helper()
	if got := w.count(m); !maps.Equal(got, want) {
		w.t.Errorf("%s: %v, want %v", m.Name, got, want)
	}
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const key = "uploads/video.mov" // of the event in testdata

// event is S3's event for an object, from the one in testdata.
func payload(t testing.TB, change func(object map[string]any)) []byte {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(file(t, "s3_object_created.json"), &e); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(e["detail"].(map[string]any)["object"].(map[string]any))
	}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func withKey(t testing.TB, k string) []byte {
	return payload(t, func(o map[string]any) { o["key"] = k })
}

func TestTheGuidesEventGivesTheGuidesRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{routes: `{"routes":[{"jobs":[{"name":"video","kind":"video","options":{"width":1920,"format":"mp4","quality":"high"}}]}]}`})
	a, err := w.invoke(payload(t, nil))
	if err != nil || len(a.Jobs) != 1 {
		t.Fatal(a, err)
	}
	var got map[string]any
	if err := json.Unmarshal(w.bodies[0], &got); err != nil {
		t.Fatal(err)
	}
	url, _ := got["webhook_url"].(string)
	base, token, ok := strings.Cut(url, "?token=")
	if !ok || base != webhookURL {
		t.Errorf("webhook_url %q", url)
	}
	keys, err := media.NewCallbackKeys([]string{strings.Repeat("k", 32)})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := keys.Verify(token)
	if err != nil || ref.Key != key || ref.Job != "video" || ref.Upload != a.Upload {
		t.Errorf("the token is for %+v, %v", ref, err)
	}
	delete(got, "webhook_url")
	want := map[string]any{
		"input":   "s3://my-media-bucket/uploads/video.mov",
		"kind":    "video",
		"options": map[string]any{"connection_id": "conn_abc123", "width": 1920.0, "format": "mp4", "quality": "high"},
		"metadata": map[string]any{
			"source_bucket": "my-media-bucket", "source_key": "uploads/video.mov",
			"job": "video", "upload": a.Upload, "attempt": "0",
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	w.wantJobs(key, "video")
	row := w.rows(key)[0]
	if row.State != "queued" || row.Bucket != "my-media-bucket" || row.ETag != "b1946ac92492d2347c6235b4d2611184" || row.Sequencer != "00617F08299329D189" ||
		row.Open == "" || row.CheckAt.Time().Sub(row.DispatchedAt.Time()).Round(time.Minute) != 30*time.Minute ||
		row.UploadedAt.Time() != time.Date(2026, 4, 3, 7, 20, 0, 0, time.UTC) {
		t.Errorf("row %+v", row)
	}
	w.wantCount(telemetry.UploadsDispatched, map[string]float64{"": 1})
	w.wantCount(telemetry.JobsCreated, map[string]float64{"": 1})
}

// The guide's event names bucket, key and size, and nothing else.
func TestAnEventWithNoMoreThanTheGuideReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	e := payload(t, func(o map[string]any) {
		maps.DeleteFunc(o, func(name string, _ any) bool { return name != "key" && name != "size" })
	})
	for range 2 {
		if _, err := w.invoke(e); err != nil {
			t.Fatal(err)
		}
	}
	w.wantJobs(key, jobNames...)
}

func TestOneInvocationAsksAsLittleAsItCan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: fakeittybit.Options{Latency: 20 * time.Millisecond}})
	for i := range 3 {
		if _, err := w.invoke(withKey(t, fmt.Sprintf("%d.mov", i))); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int{"DynamoDB.CreateTable": 1, "DynamoDB.Query": 3, "DynamoDB.PutItem": 9, "SecretsManager.GetSecretValue": 2}
	if got := w.aws.Calls(); !maps.Equal(got, want) {
		t.Errorf("calls %v, want %v", got, want)
	}
	if got := w.ittybit.Requests(); !maps.Equal(got, map[fakeittybit.Op]int{fakeittybit.Create: 9}) {
		t.Errorf("requests %v", got)
	}
	if n := w.ittybit.MaxInFlight(); n != 3 {
		t.Errorf("%d jobs are created at once, want 3", n)
	}
}

func TestKeysArriveUnchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for _, k := range []string{
		"a b.mov", "a+b.mov", "%41.mov", "a#b.mov", "a?b&c=d.mov", `"quoted"'s.mov`, "<b>.mov", "emoji 😀.mov", "ملف \u202e.mov",
		strings.Repeat("k", 1020) + ".mov", "../../up.mov", "a//b.mov", "/lead.mov", `back\slash.mov`, "{brace}.mov", "new\nline.mov", "x.MOV", "x.Mp4",
	} {
		if _, err := w.invoke(withKey(t, k)); err != nil {
			t.Errorf("%q: %v", k, err)
			continue
		}
		w.wantJobs(k, jobNames...)
		for _, j := range w.ittybit.Jobs()[len(w.ittybit.Jobs())-3:] {
			if j.Input != "s3://my-media-bucket/"+k {
				t.Errorf("%q is input as %q", k, j.Input)
			}
		}
	}
}

func TestWhatIsSkippedSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{routes: `{"routes":[{"prefix":"uploads/","suffixes":[".mov"],"jobs":[{"name":"v","kind":"video"}]}]}`})
	sized := func(k string, size int) []byte {
		return payload(t, func(o map[string]any) { o["key"], o["size"] = k, size })
	}
	for _, tt := range []struct {
		payload []byte
		want    string
	}{
		{sized("uploads/notes.txt", 1), media.SkipNoRoute},
		{sized("uploads/x.mov.part", 1), media.SkipNoRoute},
		{sized("elsewhere/x.mov", 1), media.SkipNoRoute},
		{sized("uploads/folder.mov/", 0), media.SkipFolder},
		{sized("uploads/empty.mov", 0), media.SkipEmpty},
		{sized("ittybit-output/uploads/x.mov", 1), media.SkipOutput},
	} {
		a, err := w.invoke(tt.payload)
		if err != nil || a.Skipped != tt.want {
			t.Errorf("%v, %v; want %q", a, err, tt.want)
		}
	}
	if n := len(w.ittybit.Jobs()); n != 0 {
		t.Errorf("%d jobs", n)
	}
	w.wantCount(telemetry.UploadsSkipped, map[string]float64{media.SkipNoRoute: 3, media.SkipFolder: 1, media.SkipEmpty: 1, media.SkipOutput: 1})
	for _, line := range w.lines("reason") {
		if line["key"] == nil || line["bucket"] != "my-media-bucket" {
			t.Errorf("log line without its upload: %v", line)
		}
	}
}

func TestAnUnknownSizeIsNotZero(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	if _, err := w.invoke(payload(t, func(o map[string]any) { delete(o, "size") })); err != nil {
		t.Fatal(err)
	}
	w.wantJobs(key, jobNames...)
}

func TestTheSameEventTenTimesAtOnceAndAgainLater(t *testing.T) {
	t.Parallel()
	for name, inFlight := range map[string]fakeittybit.InFlight{"Ittybit waits": fakeittybit.WaitInFlight, "Ittybit answers 409": fakeittybit.RefuseInFlight} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{ittybit: fakeittybit.Options{InFlight: inFlight, Latency: 50 * time.Millisecond}})
			e := payload(t, nil)
			// All of them see that there is no row before any of them makes a job.
			const times = 10
			var looked sync.WaitGroup
			looked.Add(times)
			w.aws.Intercept(func(_ context.Context, c endpoint.Call) error {
				if c.Operation == "Query" && c.Ordinal <= times {
					looked.Done()
					looked.Wait()
				}
				return nil
			})
			var wg sync.WaitGroup
			failed := make(chan []byte, times)
			for range times {
				h := w.wire() // each in a process of its own
				wg.Go(func() {
					if _, err := h.Invoke(t.Context(), e); err != nil {
						failed <- e
					}
				})
			}
			wg.Wait()
			close(failed)
			var again [][]byte
			for e := range failed {
				again = append(again, e)
			}
			if inFlight == fakeittybit.WaitInFlight && len(again) > 0 {
				t.Errorf("%d of 10 failed", len(again))
			}
			if inFlight == fakeittybit.RefuseInFlight && len(again) == 0 {
				t.Error("none of 10 met a 409: nothing is tested")
			}
			if len(again) > 0 {
				if still := w.queue(again...); len(still) > 0 {
					t.Errorf("%v fail again", still)
				}
			}
			w.wantJobs(key, jobNames...)
			posts := w.ittybit.Requests()[fakeittybit.Create]
			if a, err := w.invoke(e); err != nil || a.Skipped != media.SkipHaveJobs {
				t.Errorf("the next day: %v, %v", a, err)
			}
			if n := w.ittybit.Requests()[fakeittybit.Create]; n != posts {
				t.Errorf("%d more POSTs", n-posts)
			}
			w.wantJobs(key, jobNames...)
			w.wantCount(telemetry.JobsCreated, map[string]float64{"": 3})
		})
	}
}

// once fails the first operation that fits.
func once[T any](fits func(T) bool) func(T) bool {
	var mu sync.Mutex
	done := false
	return func(v T) bool {
		mu.Lock()
		defer mu.Unlock()
		if done || !fits(v) {
			return false
		}
		done = true
		return true
	}
}

func TestAReplayedFailureIsAdopted(t *testing.T) {
	t.Parallel()
	// Ittybit took the job, said 500, and says so again for that key.
	hit := once(func(r fakeittybit.Request) bool { return r.Op == fakeittybit.Create && r.Kind == "video" })
	w := newWorld(t, setup{ittybit: fakeittybit.Options{
		ReplayFailures: true,
		Fault: func(r fakeittybit.Request) fakeittybit.Fault {
			if hit(r) {
				return fakeittybit.Fault{Accept: true, Status: 500}
			}
			return fakeittybit.Fault{}
		},
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond) // no time for a second attempt
	defer cancel()
	if _, err := w.Invoke(ctx, payload(t, nil)); err == nil {
		t.Fatal("the failure does not show")
	}
	if failed := w.queue(file(t, "lambda_failure_envelope.json")); len(failed) > 0 {
		t.Errorf("from the queue: %v", failed)
	}
	w.wantJobs(key, jobNames...)
	w.wantCount(telemetry.JobsCreated, map[string]float64{"": 2}) // the third one is adopted
}

func TestCutShortBetweenIttybitAndTheTable(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]bool{"the key still known": false, "a day later": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{ittybit: fakeittybit.Options{ListOmitsMetadata: forget}})
			// The process dies before it can note any of its jobs but one.
			var mu sync.Mutex
			puts := 0
			w.aws.Intercept(func(_ context.Context, c endpoint.Call) error {
				mu.Lock()
				defer mu.Unlock()
				if c.Operation == "PutItem" {
					if puts++; puts > 1 {
						return &endpoint.Fault{Type: "ValidationException", Message: "the process died here"}
					}
				}
				return nil
			})
			if _, err := w.invoke(payload(t, nil)); err == nil {
				t.Fatal("the failure does not show")
			}
			if n := len(w.rows(key)); n != 1 {
				t.Fatalf("%d rows", n)
			}
			w.aws.Intercept(nil)
			if forget {
				w.ittybit.ForgetKeys()
			}
			if failed := w.queue(payload(t, nil)); len(failed) > 0 {
				t.Errorf("again: %v", failed)
			}
			w.wantJobs(key, jobNames...)
			if n := w.ittybit.Requests()[fakeittybit.Create]; n != 3 {
				t.Errorf("%d POSTs, want 3: what is there is adopted", n)
			}
		})
	}
}

func TestEveryFormGivesWhatTheDirectEventGives(t *testing.T) {
	t.Parallel()
	direct := newWorld(t, setup{})
	if _, err := direct.invoke(payload(t, nil)); err != nil {
		t.Fatal(err)
	}
	want := direct.rows(key)
	ours := func(detailType string) []byte {
		p, err := event.DecodePayload(payload(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		data, err := event.EncodeRequest(detailType, p.Messages[0].Request)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, deliver := range map[string]func(*world) error{
		"a queue message":   func(w *world) error { return failedOf(w.queue(payload(t, nil))) },
		"Lambda's envelope": func(w *world) error { return failedOf(w.queue(file(t, "lambda_failure_envelope.json"))) },
		event.Backfill:      func(w *world) error { _, err := w.invoke(ours(event.Backfill)); return err },
		event.Redrive:       func(w *world) error { _, err := w.invoke(ours(event.Redrive)); return err },
		event.Retry:         func(w *world) error { _, err := w.invoke(ours(event.Retry)); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			if err := deliver(w); err != nil {
				t.Fatal(err)
			}
			if n := w.ittybit.Requests()[fakeittybit.List]; n != 1 {
				t.Errorf("asked %d times first, want once", n)
			}
			w.wantJobs(key, jobNames...)
			got := w.rows(key)
			if len(got) != len(want) {
				t.Fatalf("%d rows, want %d", len(got), len(want))
			}
			for i := range got {
				if a, b := comparable(got[i]), comparable(w.find(want, got[i].Job)); !reflect.DeepEqual(a, b) {
					t.Errorf("got  %+v\nwant %+v", a, b)
				}
			}
		})
	}
}

func failedOf(messages []string) error {
	if len(messages) > 0 {
		return fmt.Errorf("failed: %v", messages)
	}
	return nil
}

func (w *world) find(rows []results.Row, job string) results.Row {
	i := slices.IndexFunc(rows, func(r results.Row) bool { return r.Job == job })
	if i < 0 {
		w.t.Fatalf("no row for %s", job)
	}
	return rows[i]
}

// comparable is the row without what differs from run to run.
func comparable(r results.Row) results.Row {
	r.SortKey, r.CheckAt, r.UpdatedAt, r.DispatchedAt, r.CreatedAt = "", 0, 0, 0, 0
	return r
}

func TestWhenAskingFailsNothingIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: fakeittybit.Options{Fault: func(r fakeittybit.Request) fakeittybit.Fault {
		if r.Op == fakeittybit.List {
			return fakeittybit.Fault{Status: 503}
		}
		return fakeittybit.Fault{}
	}}})
	if failed := w.queue(payload(t, nil)); !slices.Equal(failed, []string{"m0"}) {
		t.Errorf("failed: %v", failed)
	}
	if n := len(w.ittybit.Jobs()); n != 0 {
		t.Errorf("%d jobs", n)
	}
}

func TestTheQueueIsTheRetryOfTheQueuePath(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: fakeittybit.Options{Fault: func(r fakeittybit.Request) fakeittybit.Fault {
		if r.Op == fakeittybit.Create {
			return fakeittybit.Fault{Status: 503}
		}
		return fakeittybit.Fault{}
	}}})
	if failed := w.queue(payload(t, nil)); len(failed) != 1 {
		t.Errorf("failed: %v", failed)
	}
	if n := w.ittybit.Requests()[fakeittybit.Create]; n != 3 {
		t.Errorf("%d POSTs, want one for each job", n)
	}
}

func TestPermanentRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: fakeittybit.Options{Fault: func(r fakeittybit.Request) fakeittybit.Fault {
		if r.Op == fakeittybit.Create && r.Kind == "audio" && r.Ordinal < 100 {
			return fakeittybit.Fault{Status: 422, Kind: "invalid_input", Message: "no audio track; see https://x/webhook?token=eyJsecret"}
		}
		return fakeittybit.Fault{}
	}}})
	if _, err := w.invoke(payload(t, nil)); err == nil {
		t.Fatal("the first time, the object may not have been readable yet")
	}
	w.wantJobs(key, "video", "thumbnail")
	if failed := w.queue(payload(t, nil)); len(failed) > 0 {
		t.Errorf("failed again: %v", failed)
	}
	row := w.find(w.rows(key), "audio")
	if row.State != media.Rejected || !strings.Contains(row.Error, "no audio track") || strings.Contains(row.Error, "eyJsecret") || row.Open != "" {
		t.Errorf("row %+v", row)
	}
	w.wantCount(telemetry.Rejected, map[string]float64{rejectRefused: 1})
	posts := w.ittybit.Requests()[fakeittybit.Create]
	if failed := w.queue(payload(t, nil)); len(failed) > 0 {
		t.Errorf("a third time: %v", failed)
	}
	if n := w.ittybit.Requests()[fakeittybit.Create]; n != posts {
		t.Error("a rejected job is tried again")
	}
	if strings.Contains(w.logs.String(), "eyJsecret") {
		t.Error("the token is in the logs")
	}
}

func TestOnlyIttybitsWordIsPermanent(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 402, 403, 404, 405, 409, 429, 500} {
		w := newWorld(t, setup{ittybit: fakeittybit.Options{Fault: func(r fakeittybit.Request) fakeittybit.Fault {
			if r.Op == fakeittybit.Create {
				return fakeittybit.Fault{Status: status, Kind: "some_kind", Message: "m"}
			}
			return fakeittybit.Fault{}
		}}})
		if failed := w.queue(payload(t, nil)); len(failed) != 1 {
			t.Errorf("%d: failed %v", status, failed)
		}
		if rows := w.rows(key); len(rows) != 0 {
			t.Errorf("%d: rows %v", status, rows)
		}
	}
}

func TestARetryIsAnAttemptOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	if _, err := w.invoke(payload(t, nil)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // asked for twice, made once
		if _, err := w.invoke(file(t, "retry.json")); err != nil {
			t.Fatal(err)
		}
	}
	var attempts []string
	for _, r := range w.rows(key) {
		attempts = append(attempts, fmt.Sprintf("%s %d", r.Job, r.Attempt))
	}
	slices.Sort(attempts)
	if want := []string{"audio 0", "thumbnail 0", "thumbnail 2", "video 0"}; !slices.Equal(attempts, want) {
		t.Errorf("got %v, want %v", attempts, want)
	}
	if n := len(w.ittybit.Jobs()); n != 4 {
		t.Errorf("%d jobs", n)
	}
}

func TestAJobThatTheRouteDoesNotHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	retry := bytes.ReplaceAll(file(t, "retry.json"), []byte(`["thumbnail"]`), []byte(`["thumbnail","poster"]`))
	if _, err := w.invoke(retry); err != nil {
		t.Fatal(err)
	}
	row := w.find(w.rows(key), "poster")
	if row.State != media.Rejected || !strings.Contains(row.Error, `no job "poster"`) {
		t.Errorf("row %+v", row)
	}
	w.find(w.rows(key), "thumbnail")
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	large := payload(t, func(o map[string]any) { o["size"] = 10000001 })
	for range 2 {
		if _, err := w.invoke(large); err != nil {
			t.Fatal(err)
		}
	}
	rows := w.rows(key)
	if len(rows) != 1 || rows[0].State != media.Rejected || !strings.Contains(rows[0].Error, "10000001 bytes") || len(w.ittybit.Jobs()) != 0 {
		t.Errorf("rows %+v", rows)
	}
	w.wantCount(telemetry.Rejected, map[string]float64{rejectTooLarge: 1})
}

func TestUnreadableEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	backwards := bytes.ReplaceAll(file(t, "retry.json"), []byte(`"attempt": 2`), []byte(`"attempt": -1`))
	if _, err := w.invoke(backwards); err != nil {
		t.Fatal(err)
	}
	if rows := w.rows(key); len(rows) != 1 || rows[0].State != media.Rejected || !strings.Contains(rows[0].Error, "attempt is -1") {
		t.Errorf("rows %+v", rows)
	}
	w.wantCount(telemetry.Rejected, map[string]float64{rejectUnreadable: 1})
	for _, payload := range []string{`{`, `{"source":"aws.ec2"}`, `{"Records":[{"eventSource":"aws:s3"}]}`} {
		if _, err := w.invoke([]byte(payload)); err == nil {
			t.Errorf("%s is taken", payload)
		}
	}
	// In a batch, the others are none the worse for it.
	if failed := w.queue([]byte("nonsense"), withKey(t, "a.mov"), []byte(`{}`)); !slices.Equal(failed, []string{"m0", "m2"}) {
		t.Errorf("failed %v", failed)
	}
	w.wantJobs("a.mov", jobNames...)
}

// A probe fails where Lambda is to put it into the queue, and is done with where
// it comes from there, as often as it comes.
func TestAProbeOnlyFailsOutsideTheQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	probe, err := event.EncodeProbe("4SGKL2M7QJ", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if a, err := w.invoke(probe); err == nil || !strings.Contains(err.Error(), "probe 4SGKL2M7QJ fails here on purpose") {
		t.Errorf("invoked with it: %+v, %v", a, err)
	}
	envelope := []byte(`{"version":"1.0","requestContext":{"condition":"RetriesExhausted"},"requestPayload":` + string(probe) + `}`)
	if failed := w.queue(envelope, withKey(t, "a.mov"), probe, envelope); len(failed) > 0 {
		t.Errorf("from the queue, %v failed", failed)
	}
	var fromQueue []any
	for _, line := range w.lines("probe") {
		if line["probe"] != "4SGKL2M7QJ" || line["level"] != "INFO" {
			t.Errorf("logged %v", line)
		}
		fromQueue = append(fromQueue, line["from_queue"])
	}
	if !slices.Equal(fromQueue, []any{false, true, true, true}) {
		t.Errorf("from_queue: %v", fromQueue)
	}
	w.wantJobs("a.mov", jobNames...)
	if jobs := w.ittybit.Jobs(); len(jobs) != len(jobNames) {
		t.Errorf("%d jobs", len(jobs))
	}
	w.wantCount(telemetry.UploadsSkipped, map[string]float64{})
	w.wantCount(telemetry.Rejected, map[string]float64{})

	// What looks like one and is none is not thrown away.
	if failed := w.queue([]byte(`{"source":"ittybit-media","detail-type":"Probe","detail":{}}`)); !slices.Equal(failed, []string{"m0"}) {
		t.Errorf("failed %v", failed)
	}
}

func TestABatchWithTheSameUploadTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: fakeittybit.Options{InFlight: fakeittybit.RefuseInFlight, Latency: 5 * time.Millisecond}})
	if failed := w.queue(payload(t, nil), file(t, "lambda_failure_envelope.json"), payload(t, nil), withKey(t, "b.mov")); len(failed) > 0 {
		t.Errorf("failed %v", failed)
	}
	w.wantJobs(key, jobNames...)
	w.wantJobs("b.mov", jobNames...)
}

func TestOutputsThatTheKeyMakesImpossible(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{routes: `{"routes":[{"jobs":[
		{"name":"keep","kind":"video"},
		{"name":"mine","kind":"audio","output":"s3://${bucket}/ittybit-output/${stem}.mp3"},
		{"name":"loop","kind":"audio","output":"s3://my-media-bucket/elsewhere/x.mp4"}]}]}`})
	if _, err := w.invoke(withKey(t, "{date}.mov")); err != nil {
		t.Fatal(err)
	}
	rows := w.rows("{date}.mov")
	if r := w.find(rows, "keep"); r.State != "queued" {
		t.Errorf("the job without an output: %+v", r)
	}
	if r := w.find(rows, "mine"); r.State != media.Rejected || !strings.Contains(r.Error, "brace") {
		t.Errorf("the job with the brace: %+v", r)
	}
	if r := w.find(rows, "loop"); r.State != media.Rejected || !strings.Contains(r.Error, "an upload again") {
		t.Errorf("the job that loops: %+v", r)
	}
	w.wantCount(telemetry.Rejected, map[string]float64{rejectOutput: 2})
}

func TestTheCallbackMayBeFaster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	// The callback's row is there before dispatch writes its own.
	w.aws.Intercept(func(ctx context.Context, c endpoint.Call) error {
		if c.Operation != "PutItem" || c.Ordinal > 1 {
			return nil
		}
		for _, j := range w.ittybit.Jobs() {
			ref, err := media.RefFromMetadata(j.Metadata)
			if err != nil {
				return err
			}
			if _, err := w.table.Apply(ctx, time.Now(), ref, media.Result{JobID: j.ID, Status: "succeeded", State: media.Succeeded, Kind: j.Kind}, results.CreateOrUpdate); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := w.invoke(withKey(t, "fast.mov")); err != nil {
		t.Fatal(err)
	}
	w.wantJobs("fast.mov", jobNames...)
	n := 0
	for _, r := range w.rows("fast.mov") {
		if r.State == "succeeded" && r.Open == "" && r.ETag != "" && r.DispatchedAt != 0 {
			n++
		}
	}
	if n == 0 {
		t.Errorf("no row has both what the callback and what dispatch knew: %+v", w.rows("fast.mov"))
	}
	w.wantCount(telemetry.JobsCreated, map[string]float64{"": 3})
}

func TestACallbackMayComeAfterATryThatWasCutShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.aws.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Operation == "PutItem" {
			return &endpoint.Fault{Type: "InternalServerError", Message: "cut short"}
		}
		return nil
	})
	e := withKey(t, "cut.mov")
	if _, err := w.invoke(e); err == nil {
		t.Fatal("not cut short: nothing is tested")
	}
	w.aws.Intercept(nil)
	for _, j := range w.ittybit.Jobs() {
		ref, err := media.RefFromMetadata(j.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.table.Apply(t.Context(), time.Now(), ref, media.Result{JobID: j.ID, Status: "succeeded", State: media.Succeeded, Kind: j.Kind}, results.CreateOrUpdate); err != nil {
			t.Fatal(err)
		}
	}
	if still := w.queue(e); len(still) > 0 {
		t.Errorf("%v fail again", still)
	}
	w.wantJobs("cut.mov", jobNames...)
	for _, r := range w.rows("cut.mov") {
		if r.State != "succeeded" || r.Open != "" || r.ETag == "" || r.Input == "" || r.DispatchedAt == 0 {
			t.Errorf("the row has not both what the callback and what dispatch knew: %+v", r)
		}
	}
}

func TestDailyLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{vars: map[string]string{"DAILY_JOB_LIMIT": "4"}})
	for _, k := range []string{"1.mov", "2.mov"} { // the second one starts below the limit
		if _, err := w.invoke(withKey(t, k)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.invoke(withKey(t, "3.mov")); !errors.Is(err, errDailyLimit) {
		t.Errorf("over the limit: %v", err)
	}
	w.handler = w.wire() // another process reads the count
	if failed := w.queue(withKey(t, "3.mov")); len(failed) != 1 {
		t.Errorf("over the limit in the queue: %v", failed)
	}
	if a, err := w.invoke(withKey(t, "1.mov")); err != nil || a.Skipped != media.SkipHaveJobs {
		t.Errorf("what needs no new job: %v, %v", a, err)
	}
	if n, err := w.table.JobsOn(t.Context(), time.Now()); n != 6 || err != nil {
		t.Errorf("the day has %d jobs, %v", n, err)
	}
	if n := len(w.ittybit.Jobs()); n != 6 {
		t.Errorf("%d jobs", n)
	}
	w.wantCount(telemetry.DailyLimitReached, map[string]float64{"": 2})
}

// All that tells the time is the deadline: days can pass while the clock on the
// wall stands still.
func TestTimesAreThoseOfTheInvocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{vars: map[string]string{"DAILY_JOB_LIMIT": "3", "OVERDUE_AFTER": "45m"}})
	began := time.Date(2041, 5, 6, 23, 0, 0, 0, time.UTC)
	at := func(began time.Time, k string) error {
		ctx, cancel := context.WithDeadline(t.Context(), began.Add(media.DispatchTimeout))
		defer cancel()
		_, err := w.Invoke(ctx, withKey(t, k))
		return err
	}
	if err := at(began, "1.mov"); err != nil {
		t.Fatal(err)
	}
	for _, row := range w.rows("1.mov") {
		if !row.DispatchedAt.Time().Equal(began) || !row.UpdatedAt.Time().Equal(began) || !row.CheckAt.Time().Equal(began.Add(45*time.Minute)) {
			t.Errorf("dispatched %v, updated %v, due %v; want %v", row.DispatchedAt.Time(), row.UpdatedAt.Time(), row.CheckAt.Time(), began)
		}
	}
	if err := at(began.Add(59*time.Minute), "2.mov"); !errors.Is(err, errDailyLimit) {
		t.Errorf("over the day's limit: %v", err)
	}
	if err := at(began.Add(time.Hour), "2.mov"); err != nil { // tomorrow
		t.Errorf("the next day: %v", err)
	}
	for _, day := range []time.Time{began, began.Add(time.Hour)} {
		if n, err := w.table.JobsOn(t.Context(), day); n != 3 || err != nil {
			t.Errorf("%v has %d jobs, %v", day, n, err)
		}
	}
}

func TestWhatIsNotCountedIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{vars: map[string]string{"DAILY_JOB_LIMIT": "4"}})
	w.aws.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Operation == "UpdateItem" {
			return &endpoint.Fault{Type: "ValidationException", Message: "no"}
		}
		return nil
	})
	if _, err := w.invoke(payload(t, nil)); err != nil {
		t.Fatalf("the jobs are there, and it fails all the same: %v", err)
	}
	if !strings.Contains(w.logs.String(), "not counted against the daily limit") {
		t.Error("nothing says so")
	}
}

func TestTheAPIKeyIsReadAgainWhenItIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	if _, err := w.invoke(withKey(t, "1.mov")); err != nil {
		t.Fatal(err)
	}
	w.ittybit.SetKeys("rotated")
	w.aws.Secrets.Set("ittybit/key", `{"api_key":"rotated"}`)
	if _, err := w.invoke(withKey(t, "2.mov")); err != nil {
		t.Fatal(err)
	}
	w.wantJobs("2.mov", jobNames...)
}

func TestTheAPIKeyInParameterStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{vars: map[string]string{"ITTYBIT_API_KEY_SECRET": "", "ITTYBIT_API_KEY_PARAMETER": "/ittybit/key"}})
	w.aws.Parameters.Set("/ittybit/key", apiKey)
	if _, err := w.invoke(payload(t, nil)); err != nil {
		t.Fatal(err)
	}
	w.wantJobs(key, jobNames...)
}

func TestTheFirstUseSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{vars: map[string]string{"ITTYBIT_API_KEY_SECRET": "not/yet"}})
	w.aws.Secrets.SetEmpty("not/yet")
	_, err := w.invoke(payload(t, nil))
	if err == nil || !strings.Contains(err.Error(), "not/yet") || !strings.Contains(err.Error(), "put-secret-value") {
		t.Errorf("got %v", err)
	}
	w.aws.Secrets.Set("not/yet", apiKey)
	if failed := w.queue(payload(t, nil)); len(failed) > 0 {
		t.Errorf("once it is there: %v", failed)
	}
	w.wantJobs(key, jobNames...)
}

func TestWithoutTheTableOrTheCallbackKeysNothingIsMade(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(endpoint.Call) bool{
		"table":         func(c endpoint.Call) bool { return c.Operation == "Query" },
		"callback keys": func(c endpoint.Call) bool { return c.Service == endpoint.ServiceSecrets },
	} {
		w := newWorld(t, setup{})
		w.aws.Intercept(func(_ context.Context, c endpoint.Call) error {
			if refuse(c) {
				return &endpoint.Fault{Type: "AccessDeniedException", Message: "no"}
			}
			return nil
		})
		w.handler = w.wire()
		if _, err := w.invoke(payload(t, nil)); err == nil {
			t.Errorf("without the %s it works", name)
		}
		if n := len(w.ittybit.Jobs()); n != 0 {
			t.Errorf("without the %s: %d jobs", name, n)
		}
	}
}

func TestARejectionThatCannotBeNotedIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.aws.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Service == endpoint.ServiceDynamoDB {
			return &endpoint.Fault{Type: "AccessDeniedException", Message: "no"}
		}
		return nil
	})
	if _, err := w.invoke(payload(t, func(o map[string]any) { o["size"] = 10000001 })); err == nil {
		t.Error("the rejection is lost")
	}
}

func TestAnUnusableEnvironmentIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for name, value := range map[string]string{"TABLE_NAME": "", "AWS_REGION": "", "ITTYBIT_API_URL": "ftp://x"} {
		vars := maps.Clone(w.vars)
		vars[name] = value
		if _, err := wire(func(name string) string { return vars[name] }); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: fakeittybit.Options{Fault: func(r fakeittybit.Request) fakeittybit.Fault {
		if r.Kind == "audio" {
			return fakeittybit.Fault{Status: 400, Kind: "k", Message: "Bearer " + apiKey + " may not, " + webhookURL + "?token=eyJ"}
		}
		return fakeittybit.Fault{}
	}}})
	if _, err := w.invoke(payload(t, nil)); err == nil {
		t.Fatal("nothing to log")
	}
	for _, secret := range []string{apiKey, "eyJ", strings.Repeat("k", 32)} {
		if strings.Contains(w.logs.String(), secret) {
			t.Errorf("%q is in the logs", secret)
		}
	}
	for _, line := range w.lines("job") {
		if line["bucket"] == nil || line["key"] == nil || line["upload"] == nil {
			t.Errorf("log line without its upload: %v", line)
		}
	}
}
