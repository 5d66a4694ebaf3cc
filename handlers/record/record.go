// Package record does with a job's result what webhook and sweep both do with
// it: it writes the result to the table, and logs and counts what became of it.
// The caller has made sure that the result is Ittybit's, or says that it
// is inferred, and whose job it is.
package record

import (
	"context"
	"log/slog"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// Recorder stores results.
type Recorder struct {
	Table   *results.Table
	Metrics *telemetry.Metrics
}

// Log is log for lines about one job, so that those of every function can be
// found by the same fields.
func Log(log *slog.Logger, ref media.JobRef, jobID string) *slog.Logger {
	return log.With("bucket", ref.Bucket, "key", ref.Key, "job", ref.Job, "upload", ref.Upload, "id", jobID)
}

// Record stores a report as [results.Table.Apply] does, and tells log (see
// [Log]). The errors are Apply's, and are logged already. What
// [results.Missing] and [results.Mismatch] mean depends on who said whose job
// it is: they are neither logged nor counted here.
func (r Recorder) Record(ctx context.Context, log *slog.Logger, report results.Report) (results.Verdict, error) {
	outcome, err := r.Table.Apply(ctx, report)
	if err != nil {
		log.ErrorContext(ctx, "result not stored", "error", err.Error())
		return 0, err
	}
	status, state := report.Result.Status, report.Result.State
	switch outcome.Verdict {
	case results.Duplicate:
		log.InfoContext(ctx, "duplicate", "status", status)
	case results.Stored:
		fields := []any{"status", status, "state", state.String()}
		if state.Final() && !outcome.Completed {
			r.Metrics.Add(telemetry.Results, 1, state.String())
			if !outcome.UploadedAt.IsZero() {
				took := report.At.Sub(outcome.UploadedAt).Seconds()
				r.Metrics.Add(telemetry.UploadToResult, took, "")
				fields = append(fields, "seconds", took) // the metric cannot say whose they are
			}
		}
		log.InfoContext(ctx, "result stored", fields...)
	}
	return outcome.Verdict, nil
}
