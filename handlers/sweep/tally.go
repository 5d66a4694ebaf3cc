package main

import (
	"errors"
	"fmt"
	"sync"

	"ittybit-media/handlers/results"
)

const (
	// maxInARow ends the run: so many failures without a success in between are
	// those of Ittybit, the table or the network, not of the jobs.
	maxInARow = 5
	// maxErrors bounds what the run's error tells; the log has all of them.
	maxErrors = 10
)

// tally is what came of a run. Many goroutines may add to it at once; its fields
// are read when they are done.
type tally struct {
	mu      sync.Mutex
	counts  map[outcome]int
	behind  bool          // overdue jobs are left to the next run
	inARow  int           // failures since the last success
	isKnown bool          // Ittybit knows some job, so the key and the URL are right
	lost    []results.Row // see [run.decide]
	errs    []error
	omitted int   // errors beyond maxErrors
	aborted error // why the run ended early
}

// add counts a job by what was done with it, and reports whether that was one
// failure too many.
func (t *tally) add(row results.Row, done decision) (tooMany bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[done.outcome]++
	t.isKnown = t.isKnown || done.known
	if done.lost {
		t.lost = append(t.lost, row)
	}
	switch {
	case done.err == nil:
		t.inARow = 0
		return false
	case !onlyThisJob(done.err):
		t.inARow++
	}
	t.addError(done.err)
	return t.inARow >= maxInARow
}

// recount notes that a job that was missing became something else.
func (t *tally) recount(to outcome, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts[missing]--; t.counts[missing] == 0 {
		delete(t.counts, missing)
	}
	t.counts[to]++
	if err != nil {
		t.addError(err)
	}
}

// leave notes that an overdue job is left to the next run.
func (t *tally) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.behind = true
}

// abort notes why the run ends early.
func (t *tally) abort(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.aborted == nil {
		t.aborted = err
	}
}

// fail notes an error that is not about a job.
func (t *tally) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addError(err)
}

// addError is called with mu held.
func (t *tally) addError(err error) {
	if len(t.errs) < maxErrors {
		t.errs = append(t.errs, err)
	} else {
		t.omitted++
	}
}

// err is all that went wrong; nil when nothing did.
func (t *tally) err() error {
	errs := append([]error{t.aborted}, t.errs...)
	if t.omitted > 0 {
		errs = append(errs, fmt.Errorf("and %d more, which are in the log", t.omitted))
	}
	return errors.Join(errs...)
}
