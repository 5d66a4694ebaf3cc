package main

import (
	"slices"
	"testing"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// world is a pipeline and what a test changes of it as it goes.
type world struct {
	*pipelinetest.Run
	t       *testing.T
	ittybit pipelinetest.Behaviour
}

func start(t *testing.T, change func(*pipeline.Options)) *world {
	t.Helper()
	w := &world{t: t}
	w.Run = pipelinetest.Start(t, func(o *pipeline.Options) {
		if change != nil {
			change(o)
		}
		pipelinetest.WithIttybit(o, w.ittybit.Options)
	})
	w.Command = script
	return w
}

// ends says how the jobs of these names end; all others succeed.
func (w *world) ends(status fakeittybit.Status, names ...string) {
	w.ittybit.Outcome(func(j fakeittybit.Job) fakeittybit.Outcome {
		if slices.Contains(names, j.Metadata["job"]) {
			return fakeittybit.Outcome{Status: status, Message: "codec: no such stream"}
		}
		return fakeittybit.Outcome{}
	})
}

// refuses has Ittybit answer every request of an operation with a status.
func (w *world) refuses(op fakeittybit.Op, status int) {
	w.ittybit.Fault(func(r fakeittybit.Request) fakeittybit.Fault {
		if r.Op == op {
			return fakeittybit.Fault{Status: status, Kind: "invalid_input", Message: "cannot be read", RetryAfter: "3600"}
		}
		return fakeittybit.Fault{}
	})
}

func (w *world) heal() {
	w.ittybit.Fault(nil)
	w.ittybit.Outcome(nil)
}

// upload uploads films and waits until nothing more happens.
func (w *world) upload(keys ...string) {
	w.t.Helper()
	for _, key := range keys {
		w.Put(key, "x")
	}
	w.Quiet()
}

// row is the row of a job's attempt.
func (w *world) row(key, job string, attempt int) results.Row {
	w.t.Helper()
	for _, r := range w.Rows(key) {
		if r.Job == job && r.Attempt == attempt {
			return r
		}
	}
	return results.Row{}
}

// wantStates checks the states of a job's attempts; "" is for one that is not
// there.
func (w *world) wantStates(key, job string, states ...string) {
	w.t.Helper()
	for attempt, want := range append(states, "") {
		if got := w.row(key, job, attempt).State; got != want {
			w.t.Errorf("%q: attempt %d of %s is %q, want %q", key, attempt, job, got, want)
		}
	}
}

// wantJobs checks how many jobs Ittybit has for a key.
func (w *world) wantJobs(key string, want int) {
	w.t.Helper()
	n := 0
	for _, j := range w.Ittybit.Jobs() {
		if j.Input == "s3://"+w.Bucket+"/"+key {
			n++
		}
	}
	if n != want {
		w.t.Errorf("%q: Ittybit has %d jobs, want %d", key, n, want)
	}
}

// reject makes the row of an upload that was rejected.
func (w *world) reject(key string) {
	w.t.Helper()
	u := media.Upload{Bucket: w.Bucket, Key: key, Size: 1, ETag: "e", Time: w.Clock.Now()}
	ref := media.JobRef{Bucket: u.Bucket, Key: u.Key, Upload: u.ID(w.Table)}
	if _, err := w.Results.Reject(w.t.Context(), w.Clock.Now(), u, ref, "no"); err != nil {
		w.t.Fatal(err)
	}
}
