package sweeper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

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
	*Handler
	now   time.Time // when the invocation began
	tally tally

	listing sync.Once
	listErr error // what came of asking for a list, see [run.list]
}

func newRun(h *Handler, now time.Time) *run {
	return &run{Handler: h, now: now, tally: tally{counts: map[outcome]int{}}}
}

// sweep asks for the jobs, until there are no more, it must stop, or the time
// is over. ctx has a deadline.
func (r *run) sweep(ctx context.Context) {
	deadline, _ := ctx.Deadline()
	asking, cancel := context.WithDeadline(ctx, deadline.Add(-reserveToWrite))
	defer cancel()
	beginning, cancelBeginning := context.WithDeadline(asking, deadline.Add(-reserveToAsk))
	defer cancelBeginning()

	rows, wait := parallel(func(row results.Row) { r.job(ctx, asking, cancel, row) })
	r.feed(ctx, beginning, cancel, rows)
	close(rows)
	wait()
	r.decide(ctx, asking)
}

// parallel does the work for what is sent, [media.SweepConcurrency] at once.
// wait waits for all of it, after the channel was closed.
func parallel[T any](work func(T)) (items chan<- T, wait func()) {
	c := make(chan T)
	var workers sync.WaitGroup
	for range media.SweepConcurrency {
		workers.Go(func() {
			for item := range c {
				work(item)
			}
		})
	}
	return c, workers.Wait
}

// feed hands out the overdue jobs at the rate of [media.SweepRate].
func (r *run) feed(ctx, beginning context.Context, stop context.CancelFunc, rows chan<- results.Row) {
	pace := time.NewTicker(time.Second / media.SweepRate)
	defer pace.Stop()
	isFirst := true
	for row, err := range r.jobs.OverdueRows(ctx, r.now) {
		if errors.Is(err, results.ErrUnreadable) {
			record.Log(r.log, row.Ref(), row.JobID()).ErrorContext(ctx, "row passed over", "error", err.Error())
			r.tally.add(unreadable, err)
			continue
		}
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

// abort ends the run. Requests under way are cut off, and what was not asked
// for stays as it is.
func (r *run) abort(stop context.CancelFunc, err error) {
	r.tally.abort(err)
	stop()
}

// job asks for one job. asking bounds the request, ctx what is written of it.
// Whatever is answered, the job is no longer first among the overdue ones.
func (r *run) job(ctx, asking context.Context, stop context.CancelFunc, row results.Row) {
	answer, err := r.ittybit.Get(asking, row.JobID())
	if err != nil && errors.Is(asking.Err(), context.Canceled) { // cut off for another job's failure
		if err := r.later(ctx, row); err != nil {
			r.tally.fail(err)
		}
		r.tally.leave()
		return
	}
	d := classify(row, answer, err, r.age(row), r.giveUp)
	if r.tally.wrote(r.take(ctx, row, d)) {
		r.abort(stop, fmt.Errorf("the run ended early, since writes failed for %d jobs in a row; the next one goes on", maxInARow))
	}
	if r.tally.asked(err, d.known) && asking.Err() == nil {
		if err := r.list(asking); err != nil && asking.Err() == nil {
			r.abort(stop, fmt.Errorf("the run ended early, since Ittybit fails for the list of jobs, too; the next one goes on: %w", err))
		}
	}
}

// list asks Ittybit for a list of one job, once in a run: when it is answered,
// the key and the URL are right, and errors are the jobs' own.
func (r *run) list(ctx context.Context) error {
	r.listing.Do(func() { r.listErr = r.ittybit.Check(ctx) })
	return r.listErr
}

func (r *run) age(row results.Row) time.Duration { return r.now.Sub(row.Since()) }

// take does what was decided, and returns why that could not be written. A job
// that remains open is due later.
func (r *run) take(ctx context.Context, row results.Row, d decision) error {
	o, err := d.outcome, error(nil)
	switch {
	case d.ending == atOnce:
		o, err = r.presume(ctx, row, d)
	case d.result != nil:
		o, err = r.store(ctx, row, *d.result, o)
	}
	if o.remains() {
		if late := r.later(ctx, row); late != nil {
			o, err = failed, errors.Join(err, late)
		}
	}
	switch {
	case err == nil && d.ending.pends():
		r.tally.pend(row, d)
	case o.remains():
		r.count(ctx, row, o, errors.Join(d.err, err))
	default:
		r.count(ctx, row, o, nil)
	}
	return err
}

// count counts a job by what became of it, and logs why it failed.
func (r *run) count(ctx context.Context, row results.Row, o outcome, err error) {
	if err != nil {
		err = fmt.Errorf("job %s: %w", row.JobID(), err)
		record.Log(r.log, row.Ref(), row.JobID()).ErrorContext(ctx, "job not swept", "error", err.Error())
	}
	r.tally.add(o, err)
}

// presume ends a job without a word from Ittybit.
func (r *run) presume(ctx context.Context, row results.Row, d decision) (outcome, error) {
	return r.store(ctx, row, d.presumed(row, r.age(row)), gaveUp)
}

// store stores a result. The job has the outcome then, unless its row is gone
// or the result could not be stored.
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

// decide ends the jobs whose end is presumed, if the run has shown that the
// fault is theirs: with the key of another account, or at another URL, no job
// is known.
func (r *run) decide(ctx, asking context.Context) {
	answers := r.tally.isKnown || r.listAnswers(asking)
	jobs, wait := parallel(func(p pending) {
		ends := r.tally.isKnown || answers && p.decision.ending == ifAnswered
		o, err := p.decision.outcome, p.decision.err
		if ends && r.tally.aborted == nil {
			o, err = r.presume(ctx, p.row, p.decision)
		}
		r.count(ctx, p.row, o, err)
	})
	for _, p := range r.tally.pending {
		jobs <- p
	}
	close(jobs)
	wait()
}

// listAnswers asks for a list if a job would end for its answer.
func (r *run) listAnswers(asking context.Context) bool {
	isOld := func(p pending) bool { return p.decision.ending == ifAnswered }
	if r.tally.aborted != nil || asking.Err() != nil || !slices.ContainsFunc(r.tally.pending, isOld) {
		return false
	}
	err := r.list(asking)
	if err != nil && asking.Err() == nil {
		r.tally.abort(fmt.Errorf("no job was given up, since Ittybit fails for the list of jobs, too: %w", err))
	}
	return err == nil
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
