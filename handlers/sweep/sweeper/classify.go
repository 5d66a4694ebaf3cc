package sweeper

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

// outcome is what became of a job, as logged and counted.
type outcome string

const (
	settled    outcome = "settled"    // Ittybit says that it is finished
	open       outcome = "open"       // it is still running
	missing    outcome = "missing"    // Ittybit does not know it, which does not count yet
	gaveUp     outcome = "given_up"   // presumed failed
	gone       outcome = "gone"       // its row was deleted meanwhile
	failed     outcome = "failed"     // the request failed, or the write
	unreadable outcome = "unreadable" // its row cannot be decoded
)

// remains reports whether the job is as open as before, so it has to be due
// later.
func (o outcome) remains() bool { return o == open || o == missing || o == failed }

// missingAfter is how long after its dispatch a job that Ittybit does not know
// is lost: until then Ittybit may not show it yet.
const missingAfter = 24 * time.Hour

// errOtherJob: the id leads to a job that is not ours, or no longer.
var errOtherJob = errors.New("the job that Ittybit has by that id is, by its metadata, that of another upload, job or attempt; the row stays open until a day after its dispatch, or until it is given up")

// ending says when a job is presumed failed.
type ending int

const (
	notYet     ending = iota
	ifKnown           // if another job of the run is known to Ittybit
	ifAnswered        // if a job of the run is, or Ittybit answers a list
	atOnce
)

// pends reports whether only the end of the run tells.
func (e ending) pends() bool { return e == ifKnown || e == ifAnswered }

// decision is what there is to do with a job for what Ittybit answered.
type decision struct {
	outcome outcome       // unless the job is presumed failed
	result  *media.Result // to be stored; nil: nothing is
	known   bool          // Ittybit knows the job
	ending  ending
	why     string // the job would be presumed failed
	err     error  // why the job failed
}

// classify decides what to do with a job of that age for the answer, or the
// error, that came for it. No job stays open for longer than twice giveUp,
// whatever is answered.
func classify(row results.Row, answer media.Result, err error, age, giveUp time.Duration) decision {
	d, isLost := judge(row, answer, err)
	switch {
	case d.outcome == settled:
	case age >= 2*giveUp, age >= giveUp && d.known:
		d.ending = atOnce
	case age >= giveUp:
		d.ending = ifAnswered
	case age >= missingAfter && isLost:
		d.ending = ifKnown
	}
	return d
}

// judge decides by the answer alone. isLost: Ittybit has no such job.
func judge(row results.Row, answer media.Result, err error) (d decision, isLost bool) {
	const other = "the job that Ittybit has by that id is, by its metadata, that of another upload, job or attempt"
	refusal, _ := errors.AsType[*ittybit.Error](err)
	switch {
	case refusal != nil && refusal.OtherJob():
		return decision{outcome: failed, err: err, why: "Ittybit answers about another job"}, true
	case refusal != nil && (refusal.Status == http.StatusNotFound || refusal.Status == http.StatusGone):
		d := decision{outcome: missing, why: "Ittybit does not know the job"}
		if !refusal.FromIttybit { // a wrong URL would be told like that
			d.outcome, d.err = failed, err
		}
		return d, true
	case err != nil:
		return decision{outcome: failed, err: err, why: fmt.Sprintf("asking for the job still failed (%v)", err)}, false
	case row.Ref().Contradicts(answer.Metadata):
		return decision{outcome: failed, err: errOtherJob, why: other}, true
	case answer.State.Final():
		return decision{outcome: settled, result: &answer, known: true}, false
	}
	d = decision{outcome: open, known: true, why: "Ittybit still says " + answer.Status}
	if row.Rank == nil || answer.State.Rank() > *row.Rank {
		d.result = &answer
	}
	return d, false
}

// presumed is the result of a job of that age that ends as failed without
// Ittybit saying so. Whatever Ittybit says later replaces it.
func (d decision) presumed(row results.Row, age time.Duration) media.Result {
	reason := fmt.Sprintf("given up: %s %v after it was dispatched (GIVE_UP_AFTER)", d.why, age.Round(time.Second))
	if d.ending == ifKnown {
		reason = fmt.Sprintf("lost: %s, %v after it was dispatched", d.why, age.Round(time.Second))
	}
	return media.Result{JobID: row.JobID(), State: media.InferredFailed, Error: reason}
}

const (
	// maxInARow is how many jobs in a row may fail before the fault is taken
	// for one of Ittybit, the table or the network.
	maxInARow = 5
	// maxDenied is the same for answers that name the account.
	maxDenied = 3
)

// doubtAfter returns how many failures in a row, of which err is the last, put
// the account or Ittybit in doubt; 0 when err says nothing of other jobs.
func doubtAfter(err error) int {
	refusal, ok := errors.AsType[*ittybit.Error](err)
	switch {
	case err == nil:
		return 0
	case !ok:
		return maxInARow
	}
	switch refusal.Status {
	case http.StatusUnauthorized: // the client has read the key again by then
		return 1
	case http.StatusPaymentRequired, http.StatusForbidden:
		return maxDenied
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return maxInARow
	}
	if refusal.FromIttybit && refusal.Status < http.StatusInternalServerError {
		return 0
	}
	return maxInARow
}
