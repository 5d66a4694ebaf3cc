package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/bundle"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/eventbridge"
	"ittybit-media/scripts/local/aws/lambda"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

// jobCounts are the numbers of jobs that uploads are given: a route for each,
// which has the uploads under its number.
var jobCounts = []int{1, 3, 10}

func prefix(n int) string { return fmt.Sprintf("%d/", n) }

// jobs is a number of jobs, for people.
func jobs(n int) string {
	if n == 1 {
		return "1 job"
	}
	return fmt.Sprintf("%d jobs", n)
}

// config has a route for each number of jobs.
func config(dailyJobLimit int) (stack.Config, error) {
	var routes []any
	for _, n := range jobCounts {
		var all []any
		for i := range n {
			all = append(all, map[string]any{"name": fmt.Sprintf("video-%d", i), "kind": "video", "options": map[string]any{"width": 1920, "format": "mp4", "quality": "high"}})
		}
		routes = append(routes, map[string]any{"prefix": prefix(n), "suffixes": []any{".mov"}, "jobs": all})
	}
	c, _, err := stack.Parse(map[string]any{"routes": routes, "connectionId": "conn_abc123", "dailyJobLimit": dailyJobLimit})
	return c, err
}

// hostArchitecture is Lambda's name for this machine's processors; "" where its
// builds do not run.
func hostArchitecture() string {
	if runtime.GOOS != "linux" {
		return ""
	}
	return map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
}

// target is Lambda's own build where that runs, and the host's elsewhere.
func (b *bench) target() bundle.Target {
	if a := hostArchitecture(); a != "" {
		return bundle.Lambda(a)
	}
	b.note("Lambda's builds do not run on %s/%s: the handlers are built for the host", runtime.GOOS, runtime.GOARCH)
	return bundle.Host()
}

// empty is the floor: a handler that does nothing, of the same build.
const empty = "empty"

const emptyHandler = `package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() error { return nil }) }
`

// compile builds the handlers, and with them the empty one.
func (b *bench) compile(ctx context.Context) (map[string]string, error) {
	target := b.target()
	binaries, err := bundle.Compile(ctx, bundle.Options{Root: b.root, Target: target})
	if err != nil {
		return nil, err
	}
	root := filepath.Join(b.root, ".build", "bench")
	if err := copyFiles(root, b.root, "go.mod", "go.sum"); err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(root, "handlers", empty, "main.go"), emptyHandler); err != nil {
		return nil, err
	}
	floor, err := bundle.Compile(ctx, bundle.Options{Root: root, Target: target})
	if err != nil {
		return nil, err
	}
	binaries[empty] = floor[empty]
	return binaries, nil
}

func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

func copyFiles(to, from string, names ...string) error {
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(to, name), string(data)); err != nil {
			return err
		}
	}
	return nil
}

// world is what the functions under measure talk to: the local run's stand-ins,
// with latencies. Its own functions stay idle.
type world struct {
	*pipeline.Pipeline
	binaries map[string]string
	dir      string
	stops    []func()

	// For who talks to the stand-ins as the functions do.
	table          *dynamodb.Client
	apiURL, apiKey string
}

// latency is how long the others take.
type latency struct {
	post  time.Duration // each POST to Ittybit
	table time.Duration // each call of DynamoDB
}

// world starts one. The functions are compiled for the first.
func (b *bench) world(ctx context.Context, dailyJobLimit int, l latency) (*world, error) {
	if b.binaries == nil {
		binaries, err := b.compile(ctx)
		if err != nil {
			return nil, err
		}
		b.binaries = binaries
	}
	c, err := config(dailyJobLimit)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ittybit-bench-")
	if err != nil {
		return nil, err
	}
	w := &world{binaries: b.binaries, dir: dir, stops: []func(){func() { _ = os.RemoveAll(dir) }}}
	w.Pipeline, err = pipeline.Start(ctx, pipeline.Options{
		Stack: c, Binaries: b.binaries, Dir: dir,
		Ittybit: func(o *fakeittybit.Options) {
			o.Instant, o.Latency = true, l.post
			o.Deliveries = func(fakeittybit.Job) []fakeittybit.Delivery { return nil } // the callbacks are ours
		},
	})
	if err != nil {
		w.close()
		return nil, err
	}
	w.stops = append(w.stops, w.Pipeline.Close)
	settings := w.Access().Outputs.Settings
	w.table, w.apiURL, w.apiKey = w.DynamoDB(), settings.IttybitAPIURL, rand.Text()
	w.Secrets.Set(settings.APIKeySecret, w.apiKey)
	w.Ittybit.SetKeys(w.apiKey)
	w.AWS.Intercept(func(ctx context.Context, c endpoint.Call) error {
		if c.Service == endpoint.ServiceDynamoDB {
			return sleep(ctx, l.table)
		}
		return nil
	})
	return w, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) close() {
	for i := len(w.stops) - 1; i >= 0; i-- {
		w.stops[i]()
	}
}

// setup is how a function under measure differs from the local run's.
type setup struct {
	env   map[string]string     // set over the local run's
	log   io.Writer             // of what it says; nil: nobody
	start func(*exec.Cmd) error // starts its processes; nil: as they are
}

// function is a function under measure, with one process at a time.
type function struct {
	*lambda.Function
	latest atomic.Int64
}

// init is how long the latest process took from exec to its first request for
// work.
func (f *function) init() time.Duration { return time.Duration(f.latest.Load()) }

// function starts a function.
func (w *world) function(ctx context.Context, name string, s setup) (*function, error) {
	measured := &function{}
	vars := w.FunctionEnv(name)
	maps.Copy(vars, s.env)
	var err error
	measured.Function, err = lambda.Start(ctx, lambda.Config{
		Name: name, ARN: "arn:aws:lambda:" + endpoint.Region + ":" + endpoint.Account + ":function:" + name,
		Binary: w.binaries[name], Dir: filepath.Join(w.dir, "functions", "dispatch"), // with the routes
		Env: vars, Timeout: media.DispatchTimeout, MaxConcurrency: 1, Log: s.log, Start: s.start,
		Observe: func(e lambda.Event) {
			if e.Kind == lambda.ProcessStarted {
				measured.latest.Store(int64(e.Duration))
			}
		},
	})
	if err != nil {
		return nil, err
	}
	w.stops = append(w.stops, measured.Close)
	return measured, nil
}

// number makes every event another one's.
var number atomic.Int64

// upload is an upload that gets so many jobs, and its event.
func (w *world) upload(n int) (media.Upload, []byte) {
	i := number.Add(1)
	u := media.Upload{
		Bucket: w.Bucket, Key: fmt.Sprintf("%sclip-%08d.mov", prefix(n), i), Size: 5 << 20,
		ETag: fmt.Sprintf("%032x", i), Sequencer: fmt.Sprintf("%016X", i), Time: time.Now(),
	}
	return u, eventbridge.ObjectCreated(eventbridge.Object{
		Account: endpoint.Account, Region: endpoint.Region, Bucket: u.Bucket, Key: u.Key,
		Size: u.Size, ETag: u.ETag, Sequencer: u.Sequencer, Reason: "PutObject", Time: u.Time,
	})
}

// callback is API Gateway's event of the callback that a job of an upload
// succeeded.
func (w *world) callback(u media.Upload, job, id string) ([]byte, error) {
	keys, err := media.NewCallbackKeys(w.CallbackKeys)
	if err != nil {
		return nil, err
	}
	token, err := keys.Sign(media.JobRef{Bucket: u.Bucket, Key: u.Key, Upload: u.ID(w.Table), Job: job})
	if err != nil {
		return nil, err
	}
	body := fmt.Sprintf(`{"event":"job.succeeded","data":{"id":%q,"status":"completed","kind":"video","input":%q,`+
		`"output":{"url":"https://cdn.ittybit.com/abc/video.mp4"},"duration_ms":4820,`+
		`"metadata":{"source_bucket":%q,"source_key":%q},"created_at":1775210400000,"completed_at":1775210404000}}`, id, u.URL(), u.Bucket, u.Key)
	return json.Marshal(events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: media.WebhookRoute, RawPath: media.WebhookPath, RawQueryString: "token=" + token,
		Headers:               map[string]string{"accept": "application/json", "content-type": "application/json", "user-agent": "Ittybit-Webhooks", "x-forwarded-proto": "https"},
		QueryStringParameters: map[string]string{"token": token},
		RequestContext:        events.APIGatewayV2HTTPRequestContext{Stage: "$default", HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: "POST", Path: media.WebhookPath}},
		Body:                  body,
	})
}

// invoke runs a function and returns its answer and how long that took.
func invoke(ctx context.Context, f *function, payload []byte) ([]byte, time.Duration, error) {
	begin := time.Now()
	r, err := f.Invoke(ctx, payload)
	took := time.Since(begin)
	if err == nil && r.FunctionError != "" {
		err = fmt.Errorf("%s failed: %s", f.Name(), r.Payload)
	}
	return r.Payload, took, err
}

// dispatched runs dispatch on a new upload and returns the ids of its jobs.
func (w *world) dispatched(ctx context.Context, dispatch *function, n int) (media.Upload, map[string]string, time.Duration, error) {
	u, event := w.upload(n)
	out, took, err := invoke(ctx, dispatch, event)
	if err != nil {
		return u, nil, 0, err
	}
	var answer struct{ Jobs map[string]string }
	if err := json.Unmarshal(out, &answer); err != nil || len(answer.Jobs) != n {
		return u, nil, 0, fmt.Errorf("dispatch answered %s to an upload of %s", out, jobs(n))
	}
	return u, answer.Jobs, took, nil
}

// called runs webhook on a callback, which it must store.
func (w *world) called(ctx context.Context, webhook *function, u media.Upload, job, id string) (time.Duration, error) {
	event, err := w.callback(u, job, id)
	if err != nil {
		return 0, err
	}
	out, took, err := invoke(ctx, webhook, event)
	if err == nil && !strings.Contains(string(out), `"statusCode":200`) {
		err = fmt.Errorf("webhook answered %s", out)
	}
	return took, err
}
