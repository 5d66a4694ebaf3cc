package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

// report is all that a run found out.
type report struct {
	way
	key       string
	uploading time.Duration
	retryPath *retryPath // nil: not tried
	findings  []finding
}

// err is what is broken; nil if nothing is.
func (r report) err() error {
	problems := r.problems
	if r.retryPath != nil && r.retryPath.problem != nil {
		problems = append(problems, fmt.Errorf("retry path: %w", r.retryPath.problem))
	}
	return errors.Join(problems...)
}

// leg is a part of the way, in seconds; nil if its begin or end is not known.
type leg = *float64

func between(from, to time.Time) leg {
	if from.IsZero() || to.IsZero() {
		return nil
	}
	return new(max(0, to.Sub(from).Seconds())) // the clocks may differ
}

// legs are the parts of one job's way. The times are those of its row: S3's,
// dispatch's, Ittybit's and webhook's.
type legs struct {
	Event      leg `json:"event"`      // from the upload to dispatch
	Created    leg `json:"created"`    // from dispatch to the job at Ittybit
	Processing leg `json:"processing"` // of the job at Ittybit
	Callback   leg `json:"callback"`   // from its end there to the row
	Total      leg `json:"total"`
}

func legsOf(r results.Row) legs {
	uploaded, dispatched, created, completed := r.UploadedAt.Time(), r.DispatchedAt.Time(), r.CreatedAt.Time(), r.CompletedAt.Time()
	var stored time.Time
	if !isOpen(r) {
		stored = r.UpdatedAt.Time()
	}
	return legs{
		Event:      between(uploaded, dispatched),
		Created:    between(dispatched, created),
		Processing: between(created, completed),
		Callback:   between(completed, stored),
		Total:      between(uploaded, stored),
	}
}

// The lines of -json.
type (
	jsonPlan struct { // of -dry-run, alone
		Key                string `json:"would_upload"`
		Jobs               int    `json:"jobs"`
		QuestionJobs       int    `json:"question_jobs"`
		QuestionJobsAtMost int    `json:"question_jobs_at_most"`
		RetryPath          bool   `json:"retry_path"`
		Deletes            bool   `json:"deletes"`
	}
	jsonUpload struct {
		Key     string  `json:"key"`
		Seconds float64 `json:"upload_seconds"`
	}
	jsonJob struct {
		Job   string `json:"job"` // "": the upload was rejected
		State string `json:"state"`
		ID    string `json:"id,omitempty"`
		Error string `json:"error,omitempty"`
		Legs  legs   `json:"seconds"`
	}
	jsonRetryPath struct {
		OK     bool `json:"retry_path"`
		Failed leg  `json:"failed_seconds"` // since the probe was sent, as the others
		Queued leg  `json:"queued_seconds"`
		Done   leg  `json:"done_seconds"`
	}
	jsonResult struct {
		OK       bool     `json:"ok"`
		Problems []string `json:"problems,omitempty"`
	}
)

func (s *smoke) print(r report) error {
	if s.call.JSON {
		return s.printJSON(r)
	}
	s.printPeople(r)
	return nil
}

func (s *smoke) printJSON(r report) error {
	lines := []any{jsonUpload{r.key, r.uploading.Seconds()}}
	for _, row := range r.rows {
		lines = append(lines, jsonJob{row.Job, row.State, row.JobID(), row.Error, legsOf(row)})
	}
	if p := r.retryPath; p != nil {
		lines = append(lines, jsonRetryPath{p.problem == nil, between(p.sent, p.failed), between(p.sent, p.queued), between(p.sent, p.done)})
	}
	for _, f := range r.findings {
		lines = append(lines, f)
	}
	result := jsonResult{OK: true}
	if err := r.err(); err != nil {
		result = jsonResult{Problems: strings.Split(operator.Explain(err).Error(), "\n")}
	}
	var failed error
	for _, line := range append(lines, result) {
		failed = cmp.Or(failed, s.call.PrintJSON(line))
	}
	return failed
}

func (s *smoke) printPeople(r report) {
	out := s.call.Out
	fmt.Fprintf(out, "Uploaded s3://%s/%s in %s\n\n", s.out.Bucket, cli.Printable(r.key), shown(new(r.uploading.Seconds())))
	t := cli.NewTable(out, "JOB", "STATE", "EVENT", "CREATED", "PROCESSING", "CALLBACK", "TOTAL")
	for _, row := range r.rows {
		l := legsOf(row)
		t.Row(row.Job, row.State, shown(l.Event), shown(l.Created), shown(l.Processing), shown(l.Callback), shown(l.Total))
	}
	for _, name := range s.missing(r.rows) {
		if !slices.ContainsFunc(r.rows, func(row results.Row) bool { return row.Job == name }) {
			t.Row(name, "no row", "", "", "", "", "")
		}
	}
	_ = t.Flush()
	if p := r.retryPath; p != nil {
		fmt.Fprintf(out, "\nRetry path, after the probe was sent: failed at dispatch %s, in the queue %s, back at dispatch %s\n",
			shown(between(p.sent, p.failed)), shown(between(p.sent, p.queued)), shown(between(p.sent, p.done)))
	}
	if len(r.findings) > 0 {
		fmt.Fprintln(out)
	}
	for _, f := range r.findings {
		fmt.Fprintf(out, "%-14s  %s\n%16s%s\n", f.Answer, f.Question, "", cli.OneLine(f.Found))
		if f.Means != "" {
			fmt.Fprintf(out, "%16s→ %s\n", "", cli.OneLine(f.Means))
		}
	}
}

func shown(l leg) string {
	if l == nil {
		return "-"
	}
	return cli.Roughly(time.Duration(*l * float64(time.Second)))
}
