package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// hurried is a pace for tests, in which what comes comes soon.
var hurried = pace{look: 10 * time.Millisecond, again: time.Minute, comeBack: time.Minute, job: time.Minute, inLog: time.Minute}

// start starts a pipeline with Ittybit as the test wants it, nil for as it is.
func start(t *testing.T, ittybit func(*fakeittybit.Options), change func(*pipeline.Options)) *pipelinetest.Run {
	t.Helper()
	run := pipelinetest.Start(t, func(o *pipeline.Options) {
		if change != nil {
			change(o)
		}
		pipelinetest.WithIttybit(o, ittybit)
	})
	run.Command = script(hurried)
	return run
}

// try runs smoke while the test goes on.
func try(t *testing.T, r *pipelinetest.Run, args ...string) <-chan pipelinetest.Result {
	done := make(chan pipelinetest.Result, 1)
	go func() { done <- r.DoContext(t.Context(), args...) }()
	return done
}

// want checks how smoke ended, and that it said something to standard error.
func want(t *testing.T, got pipelinetest.Result, code int, says ...string) {
	t.Helper()
	if got.Code != code {
		t.Errorf("exit code %d, want %d", got.Code, code)
	}
	for _, text := range says {
		if !strings.Contains(got.Stderr, text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if t.Failed() {
		t.Logf("standard output:\n%s\nstandard error:\n%s", got.Stdout, got.Stderr)
	}
}

// lines are the lines of -json, which are all that is on standard output.
func lines(t *testing.T, got pipelinetest.Result) []map[string]any {
	t.Helper()
	return pipelinetest.Lines[map[string]any](t, got.Stdout)
}

// findings are the answers and what they mean, by the question's beginning.
func findings(t *testing.T, got pipelinetest.Result) map[string][2]string {
	t.Helper()
	all := map[string][2]string{}
	for _, line := range lines(t, got) {
		question, isOne := line["question"].(string)
		if !isOne {
			continue
		}
		means, _ := line["means"].(string)
		all[question] = [2]string{line["answer"].(string), line["found"].(string) + " → " + means}
	}
	return all
}

// objects are the keys of all versions in the bucket, deletions included.
func objects(t *testing.T, r *pipelinetest.Run) []string {
	t.Helper()
	out, err := r.S3().ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &r.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, v := range out.Versions {
		keys = append(keys, *v.Key)
	}
	for _, m := range out.DeleteMarkers {
		keys = append(keys, *m.Key)
	}
	slices.Sort(keys)
	return keys
}

// questionJobs are the jobs at Ittybit that questions made: no one calls back.
func questionJobs(r *pipelinetest.Run) []fakeittybit.Job {
	return slices.DeleteFunc(r.Ittybit.Jobs(), func(j fakeittybit.Job) bool { return j.WebhookURL != "" })
}

// states are those of all rows of jobs and uploads.
func states(r *pipelinetest.Run) []string {
	var all []string
	r.Tables.Rows(r.Table, func(row dynamodb.Row) {
		if state := row.Text("state"); state != "" {
			all = append(all, state)
		}
	})
	slices.Sort(all)
	return all
}

// wantClean checks that nothing is left of a run.
func wantClean(t *testing.T, r *pipelinetest.Run) {
	t.Helper()
	if left := objects(t, r); len(left) > 0 {
		t.Errorf("objects left: %v", left)
	}
	if left := states(r); len(left) > 0 {
		t.Errorf("rows left: %v", left)
	}
}

// bringBack lets the minute pass that the probe spends in the queue.
func bringBack(r *pipelinetest.Run) {
	r.Until("the probe is in the queue", func() bool { return r.RetryQueue.Depth().Delayed == 1 })
	r.Clock.Advance(time.Minute)
}
