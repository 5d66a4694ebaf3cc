package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/eventbridge"
	"ittybit-media/scripts/local/aws/lambda"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

// jobCounts are the numbers of jobs that uploads get: each number has a route,
// which handles the uploads under its prefix.
var jobCounts = []int{1, 3, 10}

func prefix(n int) string { return fmt.Sprintf("%d/", n) }

// jobs is a number of jobs, for people.
func jobs(n int) string {
	if n == 1 {
		return "1 job"
	}
	return fmt.Sprintf("%d jobs", n)
}

// config returns a stack with a route for each number of jobs.
func config(dailyJobLimit int) (stack.Config, error) {
	var routes []any
	for _, n := range jobCounts {
		var all []any
		for i := range n {
			all = append(all, map[string]any{
				"name": fmt.Sprintf("video-%d", i), "kind": "video",
				"options": map[string]any{"width": 1920, "format": "mp4", "quality": "high"},
			})
		}
		routes = append(routes, map[string]any{"prefix": prefix(n), "suffixes": []any{".mov"}, "jobs": all})
	}
	c, _, err := stack.Parse(map[string]any{"routes": routes, "connectionId": "conn_abc123", "dailyJobLimit": dailyJobLimit})
	return c, err
}

// services are what the functions under measurement talk to: the emulators of a
// local pipeline, whose own functions stay idle.
type services struct {
	*pipeline.Pipeline
	binaries map[string]string
	dir      string
}

// services starts them; a POST to Ittybit takes as long as post says. The first
// call compiles the functions.
func (b *bench) services(ctx context.Context, dailyJobLimit int, post time.Duration) (*services, error) {
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
	p, err := pipeline.Start(ctx, pipeline.Options{
		Stack: c, Binaries: b.binaries, Dir: dir,
		Ittybit: func(o *fakeittybit.Options) {
			o.Instant, o.Latency = true, post
			// The callbacks are made here.
			o.Deliveries = func(fakeittybit.Job) []fakeittybit.Delivery { return nil }
		},
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &services{Pipeline: p, binaries: b.binaries, dir: dir}, nil
}

func (s *services) close() {
	s.Close()
	_ = os.RemoveAll(s.dir)
}

// setup is how a function under measurement differs from the local pipeline's.
type setup struct {
	env map[string]string // set over the local pipeline's
	log io.Writer         // gets the function's log; nil: nothing does
}

// function starts a function with one process at a time. It ends with ctx or
// when the caller closes it.
func (s *services) function(ctx context.Context, name string, with setup) (*lambda.Function, error) {
	vars := s.FunctionEnv(name)
	maps.Copy(vars, with.env)
	return lambda.Start(ctx, lambda.Config{
		Name: name, ARN: "arn:aws:lambda:" + endpoint.Region + ":" + endpoint.Account + ":function:" + name,
		Binary: s.binaries[name], Dir: filepath.Join(s.dir, "functions", "dispatch"), // with the routes
		Env: vars, Timeout: media.DispatchTimeout, MaxConcurrency: 1, Log: with.log,
	})
}

// workers are the two functions that handle an upload.
type workers struct {
	*services
	dispatch, webhook *lambda.Function
}

func (s *services) workers(ctx context.Context, with setup) (workers, error) {
	dispatch, err := s.function(ctx, "dispatch", with)
	if err != nil {
		return workers{}, err
	}
	webhook, err := s.function(ctx, "webhook", with)
	if err != nil {
		dispatch.Close()
		return workers{}, err
	}
	return workers{s, dispatch, webhook}, nil
}

func (w workers) close() {
	w.dispatch.Close()
	w.webhook.Close()
}

// number makes every upload a new one.
var number atomic.Int64

// upload is an upload that gets n jobs, and its event.
func (s *services) upload(n int) (media.Upload, []byte) {
	i := number.Add(1)
	u := media.Upload{
		Bucket: s.Bucket, Key: fmt.Sprintf("%sclip-%08d.mov", prefix(n), i), Size: 5 << 20,
		ETag: fmt.Sprintf("%032x", i), Sequencer: fmt.Sprintf("%016X", i), Time: time.Now(),
	}
	return u, eventbridge.ObjectCreated(eventbridge.Object{
		Account: endpoint.Account, Region: endpoint.Region, Bucket: u.Bucket, Key: u.Key,
		Size: u.Size, ETag: u.ETag, Sequencer: u.Sequencer, Reason: "PutObject", Time: u.Time,
	})
}

// callback is API Gateway's event of Ittybit's callback that a job succeeded.
func (s *services) callback(d dispatched, job string) ([]byte, error) {
	keys, err := media.NewCallbackKeys(s.CallbackKeys)
	if err != nil {
		return nil, err
	}
	u := d.upload
	token, err := keys.Sign(media.JobRef{Bucket: u.Bucket, Key: u.Key, Upload: u.ID(s.Table), Job: job})
	if err != nil {
		return nil, err
	}
	body := fmt.Sprintf(`{"event":"job.succeeded","data":{"id":%q,"status":"completed","kind":"video","input":%q,`+
		`"output":{"url":"https://cdn.ittybit.com/abc/video.mp4"},"duration_ms":4820,"metadata":{"source_bucket":%q,"source_key":%q},`+
		`"created_at":1775210400000,"completed_at":1775210404000}}`, d.jobs[job], u.URL(), u.Bucket, u.Key)
	route := events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: "POST", Path: media.WebhookPath}
	return json.Marshal(events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: media.WebhookRoute, RawPath: media.WebhookPath, RawQueryString: "token=" + token,
		Headers:               map[string]string{"content-type": "application/json", "user-agent": "Ittybit-Webhooks"},
		QueryStringParameters: map[string]string{"token": token},
		RequestContext:        events.APIGatewayV2HTTPRequestContext{Stage: "$default", HTTP: route},
		Body:                  body,
	})
}

// invoke runs a function and returns its answer and how long that took.
func invoke(ctx context.Context, f *lambda.Function, payload []byte) ([]byte, time.Duration, error) {
	begin := time.Now()
	r, err := f.Invoke(ctx, payload)
	took := time.Since(begin)
	if err == nil && r.FunctionError != "" {
		err = fmt.Errorf("%s failed: %s", f.Name(), r.Payload)
	}
	return r.Payload, took, err
}

// dispatched is an upload that dispatch created jobs for.
type dispatched struct {
	upload media.Upload
	jobs   map[string]string // Ittybit's ids, by the jobs' names
	took   time.Duration
}

// dispatchUpload runs dispatch on a new upload of n jobs.
func (s *services) dispatchUpload(ctx context.Context, dispatch *lambda.Function, n int) (dispatched, error) {
	u, event := s.upload(n)
	out, took, err := invoke(ctx, dispatch, event)
	if err != nil {
		return dispatched{}, err
	}
	var answer struct{ Jobs map[string]string }
	if err := json.Unmarshal(out, &answer); err != nil || len(answer.Jobs) != n {
		return dispatched{}, fmt.Errorf("dispatch answered %s to an upload of %s", out, jobs(n))
	}
	return dispatched{u, answer.Jobs, took}, nil
}

// callBack runs webhook on the callback of a job, which it must store, and
// returns how long that took.
func (w workers) callBack(ctx context.Context, d dispatched, job string) (time.Duration, error) {
	event, err := w.callback(d, job)
	if err != nil {
		return 0, err
	}
	out, took, err := invoke(ctx, w.webhook, event)
	if err == nil && !strings.Contains(string(out), `"statusCode":200`) {
		err = fmt.Errorf("webhook answered %s", out)
	}
	return took, err
}
