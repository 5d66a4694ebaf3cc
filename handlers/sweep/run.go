package main

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

const (
	// maxInARow ends the run: so many failures without a success in between are
	// those of Ittybit, the table or the network, not of the jobs.
	maxInARow = 5
	// maxErrors bounds what the run's error tells; the log has all of them.
	maxErrors = 10
)

// run is one run over the overdue jobs.
type run struct {
	*handler
	now time.Time // when the invocation began

	mu       sync.Mutex
	counts   map[string]int // jobs by what became of them
	behind   bool
	inARow   int           // failures since the last success
	isKnown  bool          // Ittybit knows some job, so the key and the URL are right
	suspects []results.Row // Ittybit does not know them, and should
	errs     []error
	omitted  int   // errors beyond maxErrors
	aborted  error // why the run ended early
}

func newRun(h *handler, now time.Time) *run {
	return &run{handler: h, now: now, counts: map[string]int{}}
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
	for row, err := range r.jobs.Overdue(ctx, r.now) {
		if err != nil {
			r.fail(err)
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
			r.leave()
			return
		}
		select {
		case rows <- row:
		case <-beginning.Done():
			r.leave()
			return
		}
	}
}

// job asks for one job. asking bounds the request, ctx what is written of it.
func (r *run) job(ctx, asking context.Context, stop context.CancelFunc, row results.Row) {
	answer, err := r.ittybit.Get(asking, row.JobID())
	switch {
	case err != nil && errors.Is(asking.Err(), context.Canceled): // cut off by another job's failure
		r.leave()
		return
	case endsRun(err):
		r.leave()
		r.abort(stop, err)
		return
	}
	what, err := r.take(ctx, row, answer, err)
	if err != nil {
		err = fmt.Errorf("job %s: %w", row.JobID(), err)
		record.Log(r.log, row.Ref(), row.JobID()).ErrorContext(ctx, "job not swept", "error", err.Error())
	}
	if r.count(what, err) {
		r.abort(stop, fmt.Errorf("the run ended early, since %d jobs failed in a row; the next one goes on", maxInARow))
	}
}

// decide ends the jobs that Ittybit does not know, if it is Ittybit who says so:
// with the key of another account, or at another URL, it would know none.
func (r *run) decide(ctx context.Context) {
	if r.aborted != nil || !r.isKnown {
		return
	}
	slots := make(chan struct{}, media.SweepConcurrency)
	var writes sync.WaitGroup
	for _, row := range r.suspects {
		slots <- struct{}{}
		writes.Go(func() {
			defer func() { <-slots }()
			what, err := r.infer(ctx, record.Log(r.log, row.Ref(), row.JobID()), row,
				fmt.Sprintf("lost: Ittybit does not know the job, %v after it was dispatched", r.now.Sub(row.Since()).Round(time.Second)))
			r.recount(missing, what, err)
		})
	}
	writes.Wait()
}

// end tells what the run did.
func (r *run) end(ctx context.Context) (record.Summary, error) {
	if r.omitted > 0 {
		r.errs = append(r.errs, fmt.Errorf("and %d more, which are in the log", r.omitted))
	}
	err := errors.Join(append([]error{r.aborted}, r.errs...)...)
	fields := []any{"behind", r.behind}
	for _, what := range slices.Sorted(maps.Keys(r.counts)) {
		fields = append(fields, what, r.counts[what])
		r.metrics.Add(telemetry.JobsSwept, float64(r.counts[what]), what)
	}
	if r.behind {
		r.metrics.Add(telemetry.SweepBehind, 1, "")
	}
	if err != nil {
		r.log.ErrorContext(ctx, "sweep ended with errors", append(fields, "error", err.Error())...)
	} else {
		r.log.InfoContext(ctx, "sweep ended", fields...)
	}
	return record.Summary{Jobs: r.counts, Behind: r.behind}, err
}

// abort ends the run. Requests under way are cut off, and what was not asked for
// stays as it is.
func (r *run) abort(stop context.CancelFunc, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.aborted == nil {
		r.aborted = err
	}
	stop()
}

// leave notes that an overdue job is left to the next run.
func (r *run) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.behind = true
}

// known notes that Ittybit knows a job.
func (r *run) known() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isKnown = true
}

// suspect keeps a job for [run.decide].
func (r *run) suspect(row results.Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.suspects = append(r.suspects, row)
}

// fail notes an error that is no job's.
func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addError(err)
}

// count notes what became of a job, and reports whether that was one failure too
// many.
func (r *run) count(what string, err error) (tooMany bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what]++
	switch {
	case err == nil:
		r.inARow = 0
		return false
	case !onlyThisJob(err):
		r.inARow++
	}
	r.addError(err)
	return r.inARow >= maxInARow
}

// recount notes that a job that was counted became something else.
func (r *run) recount(from, to string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts[from]--; r.counts[from] == 0 {
		delete(r.counts, from)
	}
	r.counts[to]++
	if err != nil {
		r.addError(err)
	}
}

// addError is called with mu held.
func (r *run) addError(err error) {
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, err)
	} else {
		r.omitted++
	}
}
