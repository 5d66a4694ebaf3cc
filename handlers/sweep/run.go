package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/record"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// The next look at a job comes when it has been overdue for as long again as it
// is now, within these bounds: the waits double without being counted anywhere.
const (
	leastWait = 15 * time.Minute
	mostWait  = 6 * time.Hour
)

// run is one run over the overdue jobs.
type run struct {
	*handler
	now   time.Time // when the invocation began
	tally tally
}

func newRun(h *handler, now time.Time) *run {
	return &run{handler: h, now: now, tally: tally{counts: map[outcome]int{}}}
}

// sweep asks for the jobs, until there are no more, it must stop, or the time is
// over. ctx has a deadline.
func (r *run) sweep(ctx context.Context) {
	deadline, _ := ctx.Deadline()
	asking, cancel := context.WithDeadline(ctx, deadline.Add(-reserveToWrite))
	defer cancel()
	beginning, cancelBeginning := context.WithDeadline(asking, deadline.Add(-reserveToAsk))
	defer cancelBeginning()

	rows := make(chan results.Row)
	var workers sync.WaitGroup
	for range media.SweepConcurrency {
		workers.Go(func() {
			for row := range rows {
				r.job(ctx, asking, cancel, row)
			}
		})
	}
	r.feed(ctx, beginning, cancel, rows)
	close(rows)
	workers.Wait()
	r.decide(ctx)
}

// feed hands out the overdue jobs at the rate of [media.SweepRate].
func (r *run) feed(ctx, beginning context.Context, stop context.CancelFunc, rows chan<- results.Row) {
	pace := time.NewTicker(time.Second / media.SweepRate)
	defer pace.Stop()
	isFirst := true
	for row, err := range r.jobs.OverdueRows(ctx, r.now) {
		if err != nil {
			r.tally.fail(err)
			return
		}
		if isFirst {
			// Without a key no job could be asked for, which would be the fault
			// of none: each stays where it is in the order.
			if _, err := r.apiKey(beginning); err != nil {
				r.abort(stop, fmt.Errorf("no job was asked for: %w", err))
			}
			isFirst = false
		}
		select {
		case <-pace.C:
		case <-beginning.Done():
		}
		if beginning.Err() != nil {
			r.tally.leave()
			return
		}
		select {
		case rows <- row:
		case <-beginning.Done():
			r.tally.leave()
			return
		}
	}
}

// abort ends the run. Requests under way are cut off, and what was not asked for
// stays as it is.
func (r *run) abort(stop context.CancelFunc, err error) {
	r.tally.abort(err)
	stop()
}

// job asks for one job. asking bounds the request, ctx what is written of it.
func (r *run) job(ctx, asking context.Context, stop context.CancelFunc, row results.Row) {
	answer, err := r.ittybit.Get(asking, row.JobID())
	switch {
	case err != nil && errors.Is(asking.Err(), context.Canceled): // cut off for another job's failure
		r.tally.leave()
		return
	case endsRun(err):
		r.tally.leave()
		r.abort(stop, err)
		return
	}
	done := r.take(ctx, row, classify(row, answer, err, r.now.Sub(row.Since()), r.giveUp))
	if done.err != nil {
		done.err = fmt.Errorf("job %s: %w", row.JobID(), done.err)
		record.Log(r.log, row.Ref(), row.JobID()).ErrorContext(ctx, "job not swept", "error", done.err.Error())
	}
	if r.tally.add(row, done) {
		r.abort(stop, fmt.Errorf("the run ended early, since %d jobs failed in a row; the next one goes on", maxInARow))
	}
}

// take does what was decided, and returns the decision as it came out. A job
// that remains open is due later, where that can be written.
func (r *run) take(ctx context.Context, row results.Row, d decision) decision {
	if d.result != nil {
		d.outcome, d.err = r.store(ctx, row, *d.result, d.outcome)
	}
	if !d.outcome.remains() {
		return d
	}
	if err := r.later(ctx, row); err != nil {
		d.outcome, d.lost, d.err = failed, false, errors.Join(d.err, err)
	}
	return d
}

// store stores a result. The job has the outcome then, unless its row is gone or
// the result could not be stored.
func (r *run) store(ctx context.Context, row results.Row, result media.Result, o outcome) (outcome, error) {
	log := record.Log(r.log, row.Ref(), row.JobID())
	if o == gaveUp {
		log.WarnContext(ctx, "job given up", "reason", result.Error)
	}
	verdict, err := r.results.Record(ctx, log, results.Report{At: r.now, Ref: row.Ref(), Result: result, Mode: results.UpdateOnly})
	switch {
	case err != nil:
		return failed, err
	case verdict == results.Missing:
		log.WarnContext(ctx, "the job's row was deleted before its result could be stored", "status", result.Status)
		return gone, nil
	case verdict == results.Mismatch:
		return failed, results.ErrOtherJob
	}
	return o, nil
}

// later moves the job's next look.
func (r *run) later(ctx context.Context, row results.Row) error {
	overdueFor := r.now.Sub(row.Since().Add(r.overdue))
	_, err := r.jobs.Reschedule(ctx, row.Key, row.JobID(), r.now.Add(min(max(overdueFor, leastWait), mostWait)))
	return err
}

// decide ends the jobs that Ittybit does not know, if it is Ittybit who says so:
// with the key of another account, or at another URL, it would know none.
func (r *run) decide(ctx context.Context) {
	if r.tally.aborted != nil || !r.tally.isKnown {
		return
	}
	var writes errgroup.Group
	writes.SetLimit(media.SweepConcurrency)
	for _, row := range r.tally.lost {
		writes.Go(func() error {
			age := r.now.Sub(row.Since()).Round(time.Second)
			result := presumedFailed(row, fmt.Sprintf("lost: Ittybit does not know the job, %v after it was dispatched", age))
			r.tally.recount(r.store(ctx, row, result, gaveUp))
			return nil
		})
	}
	_ = writes.Wait() // what failed is in the tally
}

// end tells what the run did.
func (r *run) end(ctx context.Context) (record.Summary, error) {
	summary := record.Summary{Jobs: map[string]int{}, Behind: r.tally.behind}
	fields := []any{"behind", summary.Behind}
	for _, o := range slices.Sorted(maps.Keys(r.tally.counts)) {
		n := r.tally.counts[o]
		summary.Jobs[string(o)] = n
		fields = append(fields, string(o), n)
		r.metrics.Add(telemetry.JobsSwept, float64(n), string(o))
	}
	if summary.Behind {
		r.metrics.Add(telemetry.SweepBehind, 1, "")
	}
	err := r.tally.err()
	if err != nil {
		r.log.ErrorContext(ctx, "sweep ended with errors", append(fields, "error", err.Error())...)
	} else {
		r.log.InfoContext(ctx, "sweep ended", fields...)
	}
	return summary, err
}
