package dispatcher

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/fakeittybit"
)

const (
	webhookURL = "https://xyz.lambda-url.us-east-1.on.aws/webhook"
	apiKey     = "ittybit_test_key"
	key        = "uploads/video.mov" // of the event in testdata
)

var callbackKey = strings.Repeat("k", 32)

// threeJobs is the guide's fan-out.
const threeJobs = `{"routes":[{"prefix":"","suffixes":[".mov",".mp4"],"maxBytes":10000000,"jobs":[
	{"name":"video","kind":"video","options":{"width":1920,"format":"mp4","quality":"high"}},
	{"name":"thumbnail","kind":"image","options":{"width":640,"format":"webp","start":2}},
	{"name":"audio","kind":"audio","options":{"format":"mp3","quality":"medium"}}]}]}`

var jobNames = []string{"audio", "thumbnail", "video"}

// world is dispatch, wired as in production, between emulated AWS and a fake
// Ittybit.
type world struct {
	t testing.TB
	*handlertest.AWS
	*Handler
	ittybit *fakeittybit.Server
	env     handlertest.Env
	log     handlertest.Log

	mu     sync.Mutex
	bodies [][]byte // of the POSTs

	later time.Duration // how much later than now the function is invoked
}

type setup struct {
	routes  string // "": threeJobs
	env     []string
	ittybit fakeittybit.Options
}

func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	w := &world{t: t, AWS: handlertest.New(t)}
	w.Secrets.Set("ittybit/key", apiKey+"\n")
	w.Secrets.Set("callback/keys", `["`+callbackKey+`"]`)

	o := s.ittybit
	o.Keys = append(o.Keys, apiKey)
	o.Instant = true
	o.Deliveries = func(fakeittybit.Job) []fakeittybit.Delivery { return nil } // nothing answers them here
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
	w.env = w.Env().With(
		"LAMBDA_TASK_ROOT", root,
		env.WebhookURL, webhookURL,
		env.IttybitConnectionID, "conn_abc123",
		env.IttybitAPIURL, api.URL,
		env.IttybitAPIKeySecret, "ittybit/key",
		env.CallbackKeySecret, "callback/keys",
	).With(s.env...)
	w.Handler = w.wire()
	return w
}

// wire is another instance of the function.
func (w *world) wire() *Handler {
	w.t.Helper()
	h, err := Wire(w.env.Get, function.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	h.log, h.metrics = w.log.Logger(), w.log.Metrics()
	return h
}

// ctx is the context of an invocation: its deadline tells the time.
func (w *world) ctx() context.Context {
	ctx, cancel := context.WithDeadline(w.t.Context(), time.Now().Add(w.later+media.DispatchTimeout))
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) invoke(payload []byte) (answer, error) {
	w.t.Helper()
	out, err := w.Invoke(w.ctx(), payload)
	var a answer
	if err == nil {
		err = json.Unmarshal(out, &a)
	}
	return a, err
}

// well invokes without an error.
func (w *world) well(payload []byte) answer {
	w.t.Helper()
	a, err := w.invoke(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// badly invokes with an error, which it returns.
func (w *world) badly(payload []byte) error {
	w.t.Helper()
	a, err := w.invoke(payload)
	if err == nil {
		w.t.Fatalf("no failure shows: %+v", a)
	}
	return err
}

// queue delivers messages as the retry queue does, and compares the ids of
// those that failed: m0 is the first.
func (w *world) queue(bodies [][]byte, failed ...string) {
	w.t.Helper()
	var e events.SQSEvent
	for i, body := range bodies {
		e.Records = append(e.Records, events.SQSMessage{MessageId: fmt.Sprintf("m%d", i), Body: string(body), EventSource: "aws:sqs"})
	}
	payload, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := w.Invoke(w.ctx(), payload)
	if err != nil {
		w.t.Fatal(err)
	}
	var resp events.SQSEventResponse
	if err := json.Unmarshal(out, &resp); err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, f := range resp.BatchItemFailures {
		got = append(got, f.ItemIdentifier)
	}
	slices.Sort(got)
	if !slices.Equal(got, failed) {
		w.t.Errorf("from the queue, %v failed, want %v", got, failed)
	}
}

// row is the row of a job.
func (w *world) row(key, job string) results.Row {
	w.t.Helper()
	rows := w.Rows(w.t, key)
	i := slices.IndexFunc(rows, func(r results.Row) bool { return r.Job == job })
	if i < 0 {
		w.t.Fatalf("no row for %s", job)
	}
	return rows[i]
}

// wantRejected checks that a job, or the upload, is rejected for that reason.
func (w *world) wantRejected(key, job, reason string) {
	w.t.Helper()
	if row := w.row(key, job); row.State != media.Rejected || row.Open != "" || !strings.Contains(row.Error, reason) {
		w.t.Errorf("%s is not rejected for %q: %+v", job, reason, row)
	}
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
	for _, r := range w.Rows(w.t, key) {
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

// wantTotal checks how many jobs Ittybit has.
func (w *world) wantTotal(n int) {
	w.t.Helper()
	if got := len(w.ittybit.Jobs()); got != n {
		w.t.Errorf("%d jobs at Ittybit, want %d", got, n)
	}
}

// wantRequests checks how many requests of a kind Ittybit got.
func (w *world) wantRequests(op fakeittybit.Op, n int) {
	w.t.Helper()
	if got := w.ittybit.Requests()[op]; got != n {
		w.t.Errorf("%d requests %v, want %d", got, op, n)
	}
}

// callbacks writes what webhook does when all jobs have succeeded.
func (w *world) callbacks() error {
	for _, j := range w.ittybit.Jobs() {
		ref, err := media.RefFromMetadata(j.Metadata)
		if err != nil {
			return err
		}
		r := media.Result{JobID: j.ID, Status: "succeeded", State: media.Succeeded, Kind: j.Kind}
		if _, err := w.Table.Apply(w.t.Context(), results.Report{At: time.Now(), Ref: ref, Result: r}); err != nil {
			return err
		}
	}
	return nil
}

// failing makes the requests of a kind fail.
func failing(op fakeittybit.Op, fault fakeittybit.Fault) fakeittybit.Options {
	return fakeittybit.Options{Fault: func(r fakeittybit.Request) fakeittybit.Fault {
		if r.Op == op {
			return fault
		}
		return fakeittybit.Fault{}
	}}
}

// file is a file of testdata.
func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// payload is S3's event for an object, as changed from the one in testdata.
func payload(t testing.TB, change func(object map[string]any)) []byte {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(file(t, "s3_object_created.json"), &e); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(e["detail"].(map[string]any)["object"].(map[string]any))
	}
	e["time"] = time.Now().UTC().Format(time.RFC3339) // an older one could be a repetition
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func withKey(t testing.TB, k string) []byte {
	return payload(t, func(o map[string]any) { o["key"] = k })
}

func withSize(t testing.TB, k string, size int) []byte {
	return payload(t, func(o map[string]any) { o["key"], o["size"] = k, size })
}

func messages(bodies ...[]byte) [][]byte { return bodies }
