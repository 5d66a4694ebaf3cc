package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// fast is a rate that holds nothing up.
const fast = "-rate=10000"

// world is a pipeline with a bucket in which there is something already.
type world struct {
	*pipelinetest.Run
	t          *testing.T
	checkpoint string
}

func start(t *testing.T, change func(*pipeline.Options)) *world {
	t.Helper()
	run := pipelinetest.Start(t, change)
	run.Command = script
	return &world{Run: run, t: t, checkpoint: filepath.Join(t.TempDir(), "checkpoint.json")}
}

// configured is an option of [start]: more keys of the stack file.
func configured(t *testing.T, more map[string]any) func(*pipeline.Options) {
	return func(o *pipeline.Options) { o.Stack = pipelinetest.Config(t, more) }
}

// routes are those of a JSON text, as a stack file has them.
func routes(t *testing.T, text string) (value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// before puts objects into the bucket of which nobody is told.
func (w *world) before(keys ...string) {
	w.t.Helper()
	w.events(false)
	for _, key := range keys {
		if err := w.Objects.Put(w.t.Context(), w.Bucket, key, strings.NewReader("of "+key)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.events(true)
}

func (w *world) events(on bool) {
	w.t.Helper()
	if err := w.Objects.SetEventBridge(w.Bucket, on); err != nil {
		w.t.Fatal(err)
	}
}

// numbered are so many keys.
func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("films/%05d.mov", i)
	}
	return keys
}

func (w *world) versioning(status types.BucketVersioningStatus) {
	w.t.Helper()
	_, err := w.S3().PutBucketVersioning(w.t.Context(), &s3.PutBucketVersioningInput{Bucket: &w.Bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// result is how the script ended.
type result struct {
	pipelinetest.Result
	lines   []sent // with -json
	summary summary
}

func (w *world) do(ctx context.Context, args ...string) result {
	w.t.Helper()
	args = append([]string{"-checkpoint=" + w.checkpoint}, args...)
	return readResult(w.t, w.DoContext(ctx, args...), args)
}

// readResult reads what -json printed, if it is among the arguments.
func readResult(t *testing.T, got pipelinetest.Result, args []string) result {
	t.Helper()
	r := result{Result: got}
	if !slices.Contains(args, "-json") {
		return r
	}
	text := slices.Collect(strings.Lines(r.Stdout))
	for i, line := range text {
		var one sent
		into := any(&one)
		if i == len(text)-1 {
			into = &r.summary
		}
		d := json.NewDecoder(strings.NewReader(line))
		if d.DisallowUnknownFields(); d.Decode(into) != nil {
			t.Fatalf("%q is not what -json prints there", line)
		}
		if i < len(text)-1 {
			r.lines = append(r.lines, one)
		}
	}
	return r
}

// well runs the script to its end, with -json and without asking.
func (w *world) well(args ...string) result {
	w.t.Helper()
	return w.want(cli.ExitOK, args...)
}

func (w *world) want(code int, args ...string) result {
	w.t.Helper()
	r := w.do(w.t.Context(), append([]string{fast, "-yes", "-json"}, args...)...)
	if r.Code != code {
		w.t.Fatalf("%v: exit code %d, want %d\n%s%s", args, r.Code, code, r.Stdout, r.Stderr)
	}
	return r
}

// keys are those that were sent, in order.
func (r result) keys() []string {
	var keys []string
	for _, line := range r.lines {
		keys = append(keys, line.Key)
	}
	return keys
}

// wantOnce checks that each key has each job once, and nothing else has any.
func (w *world) wantOnce(keys ...string) {
	w.t.Helper()
	w.Quiet()
	for _, key := range keys {
		w.WantOnce(key)
		if !w.Succeeded(key) {
			w.t.Errorf("%q: its jobs have not succeeded", key)
		}
	}
	if n := len(w.Ittybit.Jobs()); n != len(keys)*len(pipelinetest.Jobs) {
		w.t.Errorf("%d jobs at Ittybit for %d objects", n, len(keys))
	}
}

// invocations is how often Lambda was invoked through its API.
func (w *world) invocations() int { return w.AWS.Calls()["Lambda.Invoke"] }

// isInvoke reports whether a call hands an upload to dispatch.
func isInvoke(c endpoint.Call) bool {
	return c.Service == endpoint.ServiceLambda && c.Operation == "Invoke"
}

// lost is a fault after which the caller does not know what became of the call.
func lost() *endpoint.Fault {
	return &endpoint.Fault{Type: "ServiceException", Message: "the answer is lost", Status: http.StatusInternalServerError, Applied: true}
}
