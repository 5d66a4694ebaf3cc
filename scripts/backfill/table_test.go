package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/pipelinetest"
)

// A job that a route got later is made for uploads that have the others.
func TestOnlyWhatTheTableLacks(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.before("a.mov", "b.mov")
	upload := w.well("-dry-run").lines[0].Upload
	for _, job := range pipelinetest.Jobs {
		w.apply("a.mov", upload, job)
	}
	// Dispatch knows nothing of these rows yet.
	if r := w.well("-dry-run"); !slices.Equal(r.keys(), []string{"a.mov", "b.mov"}) || len(r.lines[0].Jobs) != 0 || r.summary.Jobs != 3 {
		t.Errorf("%+v", r.lines)
	}
	if r := w.do(t.Context(), "-dry-run"); !strings.Contains(r.Stdout, "a.mov: no job, but its rows are not complete\nb.mov: video, thumbnail, audio\n") {
		t.Error(r.Stdout)
	}
	w.well()
	w.Quiet()
	for _, row := range w.Rows("a.mov") {
		if row.DispatchedAt == 0 || row.ETag == "" {
			t.Errorf("it was not completed: %+v", row)
		}
	}
	if n := len(w.Ittybit.Jobs()); n != 3 {
		t.Errorf("%d jobs", n)
	}
	if r := w.well(); r.summary.Skipped[media.SkipHaveJobs] != 2 {
		t.Errorf("%+v", r.summary)
	}
}

// apply has a job end whose row dispatch did not write.
func (w *world) apply(key, upload, job string) {
	w.t.Helper()
	ref := media.JobRef{Bucket: w.Bucket, Key: key, Upload: upload, Job: job}
	_, err := w.Results.Apply(w.t.Context(), results.Report{At: w.Clock.Now(), Ref: ref, Result: media.Result{JobID: "job_" + job, State: media.Succeeded}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestTooLargeObjectsAreRejected(t *testing.T) {
	t.Parallel()
	w := start(t, configured(t, map[string]any{"routes": routes(t, `[{"suffixes":[".mov"],"maxBytes":10,"jobs":[{"name":"video","kind":"video"}]}]`)}))
	w.before("a.mov", "with a longer name.mov")
	r := w.well()
	if text := "1 object larger than the route takes (maxBytes): dispatch will note"; !strings.Contains(r.Stderr, text) || r.summary.Sent != 2 || r.summary.Jobs != 1 {
		t.Errorf("%+v\n%s", r.summary, r.Stderr)
	}
	w.Quiet()
	if rows := w.Rows("with a longer name.mov"); len(rows) != 1 || rows[0].State != media.Rejected {
		t.Errorf("%+v", rows)
	}
	if r := w.well(); !maps.Equal(r.summary.Skipped, map[string]int64{media.SkipHaveJobs: 2}) {
		t.Errorf("%+v", r.summary)
	}
}
