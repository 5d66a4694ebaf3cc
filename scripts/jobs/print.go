package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

// printable is a row with what may be shown of it.
func printable(r results.Row) results.Row {
	r.OutputURL = operator.OutputURL(r.OutputURL)
	r.Outputs = slices.Clone(r.Outputs)
	for i := range r.Outputs {
		r.Outputs[i].URL = operator.OutputURL(r.Outputs[i].URL)
	}
	return r
}

// ended is when a row got its last state.
func ended(r results.Row) time.Time {
	if r.Open != "" {
		return time.Time{}
	}
	return cmp.Or(r.CompletedAt, r.UpdatedAt).Time()
}

// outcome is what a job came to, or when somebody looks at it next.
func outcome(r results.Row, now time.Time) string {
	switch {
	case r.Error != "":
		return r.Error
	case r.OutputURL != "":
		text := operator.OutputURL(r.OutputURL)
		if more := len(r.Outputs) + r.OutputsOmitted - 1; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		return text
	case r.Open == "" || r.CheckAt == 0:
		return ""
	case r.CheckAt.Time().After(now):
		return "sweep asks for it in " + cli.Roughly(r.CheckAt.Time().Sub(now))
	}
	return "overdue: the next sweep asks for it"
}

// jobName is the job of a row, or what stands for all of its upload.
func jobName(r results.Row) string { return cmp.Or(r.Job, "(all)") }

// printKey prints the rows of a key, upload by upload, the first one first.
func (j *jobs) printKey(key string, rows []results.Row, now time.Time) {
	fmt.Fprintf(j.Out, "%s\n", cli.Printable(key))
	for _, rows := range byUpload(rows) {
		upload := whole(rows)
		since := upload.UploadedAt.Time()
		fmt.Fprintf(j.Out, "\nupload %s of %s%s%s\n", upload.Upload, cli.Time(since), detail("etag", upload.ETag), detail("version", upload.VersionID))
		t := cli.NewTable(j.Out, "JOB", "ATTEMPT", "STATE", "DISPATCHED", "CREATED", "ENDED", "JOB ID", "RESULT")
		for _, r := range rows {
			t.Row(jobName(r), strconv.Itoa(r.Attempt), r.State,
				leg(since, r.DispatchedAt.Time()), leg(since, r.CreatedAt.Time()), leg(since, ended(r)), r.JobID(), outcome(r, now))
		}
		_ = t.Flush()
	}
}

func detail(name, value string) string {
	if value == "" {
		return ""
	}
	return ", " + name + " " + cli.Printable(value)
}

// leg is a time on the way, after the upload where that is known.
func leg(since, t time.Time) string {
	if since.IsZero() || t.IsZero() {
		return cli.Time(t)
	}
	d := cli.Roughly(t.Sub(since))
	if strings.HasPrefix(d, "-") { // clocks differ
		return d
	}
	return "+" + d
}

// byUpload are the rows of one key, upload by upload in the order in which
// these came, and in each of them by job and attempt.
func byUpload(rows []results.Row) [][]results.Row {
	groups := map[string][]results.Row{}
	for _, r := range rows {
		groups[r.Upload] = append(groups[r.Upload], r)
	}
	for _, group := range groups {
		slices.SortFunc(group, func(a, b results.Row) int {
			return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.Attempt, b.Attempt))
		})
	}
	return slices.SortedFunc(maps.Values(groups), func(a, b []results.Row) int {
		return cmp.Or(inTime(whole(a), whole(b)), cmp.Compare(a[0].Upload, b[0].Upload))
	})
}

// whole is the row of an upload that tells most of it: one that only a callback
// wrote does not.
func whole(rows []results.Row) results.Row {
	return slices.MaxFunc(rows, func(a, b results.Row) int { return cmp.Compare(a.UploadedAt, b.UploadedAt) })
}

// inTime orders the uploads of one key, as far as their rows tell. S3 tells
// times to the second; within one, the sequencer that is the greater text came
// later ("Why do I see duplicate messages in Amazon SQS for the same Amazon S3
// event?", AWS re:Post).
func inTime(a, b results.Row) int {
	at := func(r results.Row) results.Millis {
		return cmp.Or(r.UploadedAt, r.DispatchedAt, r.CreatedAt, r.UpdatedAt)
	}
	return cmp.Or(cmp.Compare(at(a), at(b)), cmp.Compare(a.Sequencer, b.Sequencer))
}
