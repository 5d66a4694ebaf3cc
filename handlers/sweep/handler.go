package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"ittybit-media/handlers/function"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/record"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// What became of a job, as logged and counted.
const (
	settled = "settled"  // Ittybit says that it is over
	open    = "open"     // it goes on
	missing = "missing"  // Ittybit does not know it, which does not count yet
	gaveUp  = "given_up" // we say that it is over, without a word from Ittybit
	gone    = "gone"     // its row was deleted meanwhile
	failed  = "failed"   // it could not be asked for, or not be stored
)

// The next look at a job comes when it has been overdue for as long again as it
// is now, within these bounds: the waits double without being counted anywhere.
const (
	leastWait = 15 * time.Minute
	mostWait  = 6 * time.Hour
)

// missingAfter is how long after its dispatch a job that Ittybit does not know is
// lost: until then Ittybit may not show it yet.
const missingAfter = 24 * time.Hour

// What is left of the run's time when it stops to begin with jobs, which is
// enough for one attempt of a request, and when the last requests are cut off,
// which is enough to write what came of them.
const (
	reserveToAsk   = 15 * time.Second
	reserveToWrite = 5 * time.Second
)

// asker is Ittybit.
type asker interface {
	Get(ctx context.Context, id string) (media.Result, error)
}

// ledger is the table's work list.
type ledger interface {
	Overdue(ctx context.Context, now time.Time) iter.Seq2[results.Row, error]
	Reschedule(ctx context.Context, key, jobID string, checkAt time.Time) (moved bool, err error)
}

// handler ends the jobs whose callback does not come.
type handler struct {
	overdue time.Duration // from dispatch until a job is asked for
	giveUp  time.Duration // from dispatch until a job that does not end is given up

	ittybit asker
	apiKey  func(context.Context) (string, error)
	jobs    ledger
	results record.Recorder

	log     *slog.Logger
	metrics *telemetry.Metrics
}

// Handle makes one run over the overdue jobs, whatever the event: those due
// longest first, until there are no more or the time is over. Every job that was
// asked for is due later then, so the next run goes on where this one ended, and
// no job keeps the others from being asked for.
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

// take does with the answer for a job what there is to do. An error means that
// the job is as open as before, and due later where that could be written.
func (r *run) take(ctx context.Context, row results.Row, answer media.Result, err error) (string, error) {
	log := record.Log(r.log, row.Ref(), row.JobID())
	refusal, _ := errors.AsType[*ittybit.Error](err)
	switch age := r.now.Sub(row.Since()); {
	case refusal != nil && refusal.NotFound() && age >= r.giveUp:
		return r.infer(ctx, log, row, r.givenUp("Ittybit does not know the job", age))
	case refusal != nil && refusal.NotFound():
		if err := r.later(ctx, row); err != nil {
			return failed, err
		}
		if age >= missingAfter {
			r.suspect(row)
		}
		return missing, nil
	case err != nil:
		return failed, errors.Join(err, r.later(ctx, row))
	case row.Ref().Contradicts(answer.Metadata) && age >= r.giveUp:
		return r.infer(ctx, log, row, r.givenUp("the job that Ittybit has by that id is, by its metadata, that of another upload, job or attempt", age))
	case row.Ref().Contradicts(answer.Metadata):
		return failed, errors.Join(errOtherJob, r.later(ctx, row))
	default:
		r.known()
		switch {
		case answer.State.Final():
			return r.settle(ctx, log, row, answer, settled)
		case age >= r.giveUp:
			return r.infer(ctx, log, row, r.givenUp("Ittybit still says "+answer.Status, age))
		}
	}
	if row.Rank == nil || answer.State.Rank() > *row.Rank {
		if what, err := r.settle(ctx, log, row, answer, open); what != open {
			return what, err
		}
	}
	return open, r.later(ctx, row)
}

// settle stores an answer, which makes the job what the caller says unless its
// row is gone.
func (r *run) settle(ctx context.Context, log *slog.Logger, row results.Row, answer media.Result, what string) (string, error) {
	verdict, err := r.results.Record(ctx, log, r.now, row.Ref(), answer, results.UpdateOnly)
	switch {
	case err != nil:
		return failed, errors.Join(err, r.later(ctx, row))
	case verdict == results.Missing:
		log.WarnContext(ctx, "the job's row was deleted before its result could be stored", "status", answer.Status)
		return gone, nil
	case verdict == results.Mismatch:
		return failed, errors.Join(results.ErrOtherJob, r.later(ctx, row))
	}
	return what, nil
}

// givenUp is the reason of a job that was open for too long. No job stays open
// for ever: Ittybit has answered, whatever it said.
func (r *run) givenUp(why string, age time.Duration) string {
	return fmt.Sprintf("given up: %s %v after it was dispatched (GIVE_UP_AFTER)", why, age.Round(time.Second))
}

// infer ends a job as failed, for what Ittybit does not say. Whatever Ittybit
// says later replaces it.
func (r *run) infer(ctx context.Context, log *slog.Logger, row results.Row, reason string) (string, error) {
	log.WarnContext(ctx, "job given up", "reason", reason)
	return r.settle(ctx, log, row, media.Result{JobID: row.JobID(), State: media.InferredFailed, Error: reason}, gaveUp)
}

// later moves the job's next look.
func (r *run) later(ctx context.Context, row results.Row) error {
	overdueFor := r.now.Sub(row.Since().Add(r.overdue))
	_, err := r.jobs.Reschedule(ctx, row.Key, row.JobID(), r.now.Add(min(max(overdueFor, leastWait), mostWait)))
	return err
}

// errOtherJob: the id leads to a job that is not ours, or no longer.
var errOtherJob = errors.New("the job that Ittybit has by that id is, by its metadata, that of another upload, job or attempt; the row stays open until it is given up")

// endsRun reports whether the account must be mended before Ittybit answers for
// any job.
func endsRun(err error) bool {
	refusal, ok := errors.AsType[*ittybit.Error](err)
	if !ok {
		return false
	}
	switch refusal.Status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden:
		return true
	}
	return false
}

// onlyThisJob reports whether an error says nothing of how other jobs will fare.
func onlyThisJob(err error) bool {
	if errors.Is(err, errOtherJob) {
		return true
	}
	refusal, ok := errors.AsType[*ittybit.Error](err)
	return ok && refusal.FromIttybit && refusal.Status < http.StatusInternalServerError &&
		refusal.Status != http.StatusTooManyRequests && refusal.Status != http.StatusRequestTimeout
}
