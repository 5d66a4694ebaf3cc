// Package settle does with a job's result what webhook and sweep both do with
// it: it writes the result to the table, and logs and counts what became of it.
// Whoever calls it has made sure that the result is Ittybit's, or says that it is
// inferred, and whose job it is.
package settle

import (
	"context"
	"log/slog"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// Table is what a [Settler] needs of *results.Table.
type Table interface {
	Apply(ctx context.Context, now time.Time, ref media.JobRef, r media.Result, mode results.Mode) (results.Outcome, error)
}

// Settler stores results.
type Settler struct {
	Table   Table
	Metrics *telemetry.Metrics
}

// Log is log for lines about one job, so that those of every function can be
// found by the same fields.
func Log(log *slog.Logger, ref media.JobRef, jobID string) *slog.Logger {
	return log.With("bucket", ref.Bucket, "key", ref.Key, "job", ref.Job, "upload", ref.Upload, "id", jobID)
}

// Settle stores a result as [results.Table.Apply] does, at now, and tells log
// (see [Log]). The errors are Apply's, and are logged already. What
// [results.Missing] and [results.Mismatch] mean depends on who said whose job it
// is: they are neither logged nor counted here.
func (s Settler) Settle(ctx context.Context, log *slog.Logger, now time.Time, ref media.JobRef, r media.Result, mode results.Mode) (results.Verdict, error) {
	outcome, err := s.Table.Apply(ctx, now, ref, r, mode)
	if err != nil {
		log.ErrorContext(ctx, "result not stored", "error", err.Error())
		return 0, err
	}
	switch outcome.Verdict {
	case results.Duplicate:
		log.InfoContext(ctx, "duplicate", "status", r.Status)
	case results.Stored:
		fields := []any{"status", r.Status, "state", r.State.String()}
		if r.State.Final() {
			s.Metrics.Add(telemetry.Results, 1, r.State.String())
			if !outcome.UploadedAt.IsZero() {
				took := now.Sub(outcome.UploadedAt).Seconds()
				s.Metrics.Add(telemetry.UploadToResult, took, "")
				fields = append(fields, "seconds", took) // the metric cannot say whose they are
			}
		}
		log.InfoContext(ctx, "result stored", fields...)
	}
	return outcome.Verdict, nil
}
