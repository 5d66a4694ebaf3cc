package sweeper

import (
	"errors"
	"fmt"
	"sync"

	"ittybit-media/handlers/results"
)

// maxErrors bounds what the run's error tells; the log has all of them.
const maxErrors = 10

// pending is a job of which the end of the run decides.
type pending struct {
	row      results.Row
	decision decision
}

// tally is what came of a run. Many goroutines may add to it at once; its
// fields are read when they are done.
type tally struct {
	mu         sync.Mutex
	counts     map[outcome]int
	behind     bool // overdue jobs are left to the next run
	unanswered int  // failed requests since the last success
	unwritten  int  // jobs in a row that the table did not take
	isKnown    bool // Ittybit knows some job, so the key and the URL are right
	pending    []pending
	errs       []error
	omitted    int   // errors beyond maxErrors
	aborted    error // why the run ended early
}

// asked notes what came of a request for a job, and whether Ittybit knows that.
// It reports whether the account or Ittybit is in doubt.
func (t *tally) asked(err error, isKnown bool) (inDoubt bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.isKnown = t.isKnown || isKnown
	limit := doubtAfter(err)
	switch {
	case err == nil:
		t.unanswered = 0
	case limit > 0:
		t.unanswered++
	}
	return limit > 0 && t.unanswered >= limit
}

// wrote notes whether what was decided of a job could be written, and reports
// whether that was one failure too many.
func (t *tally) wrote(err error) (tooMany bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.unwritten = 0
	} else {
		t.unwritten++
	}
	return t.unwritten >= maxInARow
}

// pend leaves a job to the end of the run.
func (t *tally) pend(row results.Row, d decision) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = append(t.pending, pending{row, d})
}

// add counts a job by what became of it. err is why it failed, or nil.
func (t *tally) add(o outcome, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[o]++
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
	t.behind = true // what was asked for in vain, at least
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
