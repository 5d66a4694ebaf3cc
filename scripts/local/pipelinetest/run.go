// Package pipelinetest runs a local pipeline in a test, with the real handlers,
// and the operator's commands against it.
package pipelinetest

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"ittybit-media/handlers/results"
	"ittybit-media/infra/bundle"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/access"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

// Routes are those of a pipeline under test, unless it is given others: three
// jobs for every film.
const Routes = `[{"prefix":"","suffixes":[".mov",".mp4"],"jobs":[
	{"name":"video","kind":"video","options":{"width":1920,"format":"mp4"}},
	{"name":"thumbnail","kind":"image","options":{"width":640,"format":"webp","start":2}},
	{"name":"audio","kind":"audio","options":{"format":"mp3"}}]}]`

// Jobs are the names of their jobs, in order.
var Jobs = []string{"audio", "thumbnail", "video"}

// longest is how long a test waits for what must come.
const longest = time.Minute

var compile = sync.OnceValues(func() (map[string]string, error) {
	return bundle.Compile(context.Background(), bundle.Options{Target: bundle.Host()})
})

// Binaries are the handlers, compiled once for all tests of a package.
func Binaries(t testing.TB) map[string]string {
	t.Helper()
	binaries, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	return binaries
}

// Config is the configuration of a pipeline under test, with more keys.
func Config(t testing.TB, more map[string]any) stack.Config {
	t.Helper()
	var routes any
	if err := json.Unmarshal([]byte(Routes), &routes); err != nil {
		t.Fatal(err)
	}
	values := map[string]any{"routes": routes, "connectionId": "conn_abc123"}
	maps.Copy(values, more)
	config, _, err := stack.Parse(values)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// Run is a pipeline under test.
type Run struct {
	*pipeline.Pipeline
	Clock      *clock.Clock
	Results    *results.Table
	AccessFile string      // by which commands find the pipeline
	Command    cli.Command // under test

	t       testing.TB
	observe func(pipeline.Step) // the test's own

	mu      sync.Mutex
	steps   []pipeline.Step
	changed chan struct{} // closed at the next step
}

// Start starts a pipeline whose options were changed, nil for not. Without a
// change, Ittybit's jobs end at once. It ends with the test.
func Start(t testing.TB, change func(*pipeline.Options)) *Run {
	t.Helper()
	r := &Run{t: t, Clock: clock.New(), changed: make(chan struct{})}
	o := pipeline.Options{
		Stack:    Config(t, nil),
		Binaries: Binaries(t),
		Clock:    r.Clock,
		Ittybit:  func(o *fakeittybit.Options) { o.Instant = true },
	}
	if change != nil {
		change(&o)
	}
	r.observe, o.Observe = o.Observe, r.step
	var err error
	if r.Pipeline, err = pipeline.Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	r.Results = results.New(r.DynamoDB(), r.Table, results.Options{})
	r.AccessFile = WriteAccess(t, r.Access())
	return r
}

// WriteAccess writes a local run's access to a file of the test's.
func WriteAccess(t testing.TB, a access.Access) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "local.json")
	if err := a.Write(file); err != nil {
		t.Fatal(err)
	}
	return file
}

func (r *Run) step(s pipeline.Step) {
	if r.observe != nil {
		r.observe(s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, s)
	close(r.changed)
	r.changed = make(chan struct{})
}

// Result is how a command ended.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Do runs [Run.Command] against the pipeline, by the pipeline's clock.
func (r *Run) Do(args ...string) Result {
	r.t.Helper()
	return r.DoContext(r.t.Context(), args...)
}

// DoContext is [Run.Do] with a context that can interrupt, as Ctrl-C does.
func (r *Run) DoContext(ctx context.Context, args ...string) Result {
	r.t.Helper()
	return r.do(ctx, strings.NewReader(""), args)
}

// Answer is [Run.Do] at a terminal, where the question gets that answer.
func (r *Run) Answer(answer string, args ...string) Result {
	r.t.Helper()
	screen, _ := Terminal(r.t, answer+"\n")
	return r.do(r.t.Context(), screen, args)
}

func (r *Run) do(ctx context.Context, in io.Reader, args []string) Result {
	r.t.Helper()
	var stdout, stderr strings.Builder
	code := r.DoTo(ctx, in, &stdout, &stderr, args...)
	return Result{code, stdout.String(), stderr.String()}
}

// Do runs a command without a pipeline of the test's.
func Do(ctx context.Context, command cli.Command, args ...string) Result {
	var stdout, stderr strings.Builder
	code := command.Run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	return Result{code, stdout.String(), stderr.String()}
}

// DoTo is [Run.Do] with standard input and outputs of the test's own. It
// returns the exit code.
func (r *Run) DoTo(ctx context.Context, in io.Reader, out, errout io.Writer, args ...string) int {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*longest)
	defer cancel()
	command := r.Command
	command.Now = r.Clock.Now
	return command.Run(ctx, append([]string{"-local=" + r.AccessFile}, args...), in, out, errout)
}

// Want runs [Run.Command] and fails the test unless it ends with that exit
// code. It returns what it printed to standard output.
func (r *Run) Want(code int, args ...string) string {
	r.t.Helper()
	got := r.Do(args...)
	if got.Code != code {
		r.t.Fatalf("%s %v: exit code %d, want %d\n%s%s", r.Command.Name, args, got.Code, code, got.Stdout, got.Stderr)
	}
	return got.Stdout
}

// Says runs [Run.Command], which must end with that exit code and say all that
// to standard error.
func (r *Run) Says(code int, says []string, args ...string) Result {
	r.t.Helper()
	got := r.Do(args...)
	if got.Code != code {
		r.t.Errorf("%s %q: exit code %d, want %d\n%s%s", r.Command.Name, args, got.Code, code, got.Stdout, got.Stderr)
	}
	WantIn(r.t, got.Stderr, says...)
	return got
}

// WantUsage checks that each command line is wrong, and what is said of it.
func WantUsage(t testing.TB, command cli.Command, wrong map[string]string) {
	t.Helper()
	for args, says := range wrong {
		got := Do(t.Context(), command, strings.Fields(args)...)
		if got.Code != cli.ExitUsage || !strings.Contains(got.Stderr, says) || got.Stdout != "" {
			t.Errorf("%q does not say %q: %+v", args, says, got)
		}
	}
}

// Deny has AWS refuse an operation to the command, until the next call or
// r.AWS.Intercept(nil).
func (r *Run) Deny(operation string) {
	r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.AccessKey == r.AccessKey && c.Operation == operation {
			return &endpoint.Fault{Type: "AccessDeniedException", Message: "not you", Status: http.StatusForbidden}
		}
		return nil
	})
}

// WantIn checks that a text has all the parts, whatever the white space.
func WantIn(t testing.TB, text string, parts ...string) {
	t.Helper()
	plain := strings.Join(strings.Fields(text), " ")
	for _, part := range parts {
		if !strings.Contains(plain, part) {
			t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

// Lines reads what -json prints: one object a line, and nothing else.
func Lines[T any](t testing.TB, text string) []T {
	t.Helper()
	var all []T
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	for d.More() {
		var one T
		if err := d.Decode(&one); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		all = append(all, one)
	}
	if n := strings.Count(text, "\n"); n != len(all) {
		t.Errorf("%d objects on %d lines", len(all), n)
	}
	return all
}

// Until waits until the condition holds; it is asked after every step of the
// pipeline.
func (r *Run) Until(what string, holds func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), longest)
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

// Quiet waits until nothing more happens before the clock moves on.
func (r *Run) Quiet() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), longest)
	defer cancel()
	if err := r.Pipeline.Quiet(ctx); err != nil {
		r.t.Fatal(err)
	}
}

// Pass lets time pass on the clock, and visits whatever happens on the way.
func (r *Run) Pass(d time.Duration) {
	r.t.Helper()
	for end := r.Clock.Now().Add(d); ; {
		r.Quiet()
		now := r.Clock.Now()
		if !now.Before(end) {
			return
		}
		next, ok := r.Clock.Next()
		if !ok || next.After(end) {
			next = end
		}
		r.Clock.Advance(next.Sub(now))
	}
}

// Has reports whether there was a step of that kind for a key, and its text.
func (r *Run) Has(kind pipeline.Kind, key string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.steps {
		if s.Kind == kind && s.Upload.Key == key {
			return s.Text, true
		}
	}
	return "", false
}

// Logged are the texts that a function has logged.
func (r *Run) Logged(function string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var texts []string
	for _, s := range r.steps {
		if s.Kind == pipeline.Logged && s.Source == function {
			texts = append(texts, s.Text)
		}
	}
	return texts
}

// Put uploads an object.
func (r *Run) Put(key, body string) {
	r.t.Helper()
	if _, err := r.S3().PutObject(r.t.Context(), &s3.PutObjectInput{Bucket: aws.String(r.Bucket), Key: aws.String(key), Body: strings.NewReader(body)}); err != nil {
		r.t.Fatal(err)
	}
}

// Remove deletes an object.
func (r *Run) Remove(key string) {
	r.t.Helper()
	if _, err := r.S3().DeleteObject(r.t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(r.Bucket), Key: aws.String(key)}); err != nil {
		r.t.Fatal(err)
	}
}

// Rows are the rows of a key.
func (r *Run) Rows(key string) []results.Row {
	r.t.Helper()
	var rows []results.Row
	for row, err := range r.Results.RowsByKey(r.t.Context(), key) {
		if err != nil {
			r.t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// Succeeded reports whether each of [Jobs] has one row under the key, and that
// row is its success.
func (r *Run) Succeeded(key string) bool {
	r.t.Helper()
	var names []string
	for _, row := range r.Rows(key) {
		if row.State == "succeeded" && row.Open == "" && row.OutputURL != "" {
			names = append(names, row.Job)
		}
	}
	slices.Sort(names)
	return slices.Equal(names, Jobs)
}

// WantOnce checks that a key has one job at Ittybit for each of [Jobs], and one
// row for each of these.
func (r *Run) WantOnce(key string) {
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
	if got := slices.Sorted(maps.Values(made)); !slices.Equal(got, Jobs) {
		r.t.Errorf("%q: jobs at Ittybit %v", key, got)
	}
	rows := map[string]string{}
	for _, row := range r.Rows(key) {
		rows[row.JobID()] = row.Job
	}
	if !maps.Equal(rows, made) {
		r.t.Errorf("%q: rows %v for the jobs %v", key, rows, made)
	}
}
