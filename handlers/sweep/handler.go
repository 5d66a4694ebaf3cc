package main

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"ittybit-media/handlers/function"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/record"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// What is left of the run's time when it stops to begin with jobs, which is
// enough for one attempt of a request, and when the last requests are cut off,
// which is enough to write what came of them.
const (
	reserveToAsk   = 15 * time.Second
	reserveToWrite = 5 * time.Second
)

// asker is Ittybit.
type asker interface {
	// Get asks for a job. Where Ittybit answered, its error is an
	// *ittybit.Error.
	Get(ctx context.Context, id string) (media.Result, error)
}

// workList is the table's list of open jobs.
type workList interface {
	// OverdueRows reads the open jobs that are due by now, those due longest
	// first. An error is the last thing that it gives.
	OverdueRows(ctx context.Context, now time.Time) iter.Seq2[results.Row, error]
	// Reschedule moves a job's next look. False: the job is over, or gone.
	Reschedule(ctx context.Context, key, jobID string, checkAt time.Time) (moved bool, err error)
}

// handler ends the jobs whose callback does not come.
type handler struct {
	overdue time.Duration // from dispatch until a job is asked for
	giveUp  time.Duration // from dispatch until a job that does not end is given up

	ittybit asker
	apiKey  func(context.Context) (string, error)
	jobs    workList
	results record.Recorder

	log     *slog.Logger
	metrics *telemetry.Metrics
}

// Handle makes one run over the overdue jobs, whatever the event: those due
// longest first, until there are no more or the time is over. Every job that
// was asked for is due later then, so the next run goes on where this one
// ended, and no job keeps the others from being asked for.
//
// It fails with all that went wrong, after it did what could be done.
func (h *handler) Handle(ctx context.Context) (record.Summary, error) {
	now := function.InvokedAt(ctx, media.SweepTimeout)
	// The deadline tells the time, so it may be days away from the clock on the
	// wall; a run does not take longer for it.
	ctx, cancel := context.WithTimeout(ctx, media.SweepTimeout)
	defer cancel()
	r := newRun(h, now)
	r.sweep(ctx)
	return r.end(ctx)
}
