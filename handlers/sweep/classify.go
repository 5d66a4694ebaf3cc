package main

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
	settled outcome = "settled"  // Ittybit says that it is over
	open    outcome = "open"     // it goes on
	missing outcome = "missing"  // Ittybit does not know it, which does not count yet
	gaveUp  outcome = "given_up" // we say that it is over, without a word from Ittybit
	gone    outcome = "gone"     // its row was deleted meanwhile
	failed  outcome = "failed"   // it could not be asked for, or not be stored
)

// remains reports whether the job is as open as before, so it has to be due
// later.
func (o outcome) remains() bool { return o == open || o == missing || o == failed }

// missingAfter is how long after its dispatch a job that Ittybit does not know
// is lost: until then Ittybit may not show it yet.
const missingAfter = 24 * time.Hour

// errOtherJob: the id leads to a job that is not ours, or no longer.
var errOtherJob = errors.New("the job that Ittybit has by that id is, by its metadata, that of another upload, job or attempt; the row stays open until it is given up")

// decision is what there is to do with a job for what Ittybit answered.
type decision struct {
	outcome outcome       // if its result can be stored
	result  *media.Result // to be stored; nil: nothing is
	known   bool          // Ittybit knows the job
	lost    bool          // it should, and does not: see [run.decide]
	err     error         // why the job failed
}

// classify decides what to do with a job of that age for the answer, or the
// error, that came for it. No job stays open for longer than giveUp once Ittybit
// has answered, whatever it said.
func classify(row results.Row, answer media.Result, err error, age, giveUp time.Duration) decision {
	refusal, _ := errors.AsType[*ittybit.Error](err)
	notFound := refusal != nil && refusal.NotFound()
	foreign := err == nil && row.Ref().Contradicts(answer.Metadata)
	presume := func(why string) decision {
		r := presumedFailed(row, fmt.Sprintf("given up: %s %v after it was dispatched (GIVE_UP_AFTER)", why, age.Round(time.Second)))
		return decision{outcome: gaveUp, result: &r, known: err == nil && !foreign}
	}
	isOld := age >= giveUp
	switch {
	case notFound && isOld:
		return presume("Ittybit does not know the job")
	case notFound:
		return decision{outcome: missing, lost: age >= missingAfter}
	case err != nil:
		return decision{outcome: failed, err: err}
	case foreign && isOld:
		return presume("the job that Ittybit has by that id is, by its metadata, that of another upload, job or attempt")
	case foreign:
		return decision{outcome: failed, err: errOtherJob}
	case answer.State.Final():
		return decision{outcome: settled, result: &answer, known: true}
	case isOld:
		return presume("Ittybit still says " + answer.Status)
	case row.Rank == nil || answer.State.Rank() > *row.Rank:
		return decision{outcome: open, result: &answer, known: true}
	}
	return decision{outcome: open, known: true}
}

// presumedFailed is the result of a job that ends as failed without Ittybit
// saying so. Whatever Ittybit says later replaces it.
func presumedFailed(row results.Row, reason string) media.Result {
	return media.Result{JobID: row.JobID(), State: media.InferredFailed, Error: reason}
}

// endsRun reports whether the account must be put in order before Ittybit answers for
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

// onlyThisJob reports whether an error says nothing of how other jobs will
// fare.
func onlyThisJob(err error) bool {
	if errors.Is(err, errOtherJob) {
		return true
	}
	refusal, ok := errors.AsType[*ittybit.Error](err)
	return ok && refusal.FromIttybit && refusal.Status < http.StatusInternalServerError &&
		refusal.Status != http.StatusTooManyRequests && refusal.Status != http.StatusRequestTimeout
}
