package dispatcher

import (
	"slices"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

// plan is what there is to do for an upload.
type plan struct {
	missing []media.Job // have neither an id nor a rejection
	unknown []string    // asked for by name, though the route has no such job
}

// planJobs compares what an upload should have, by its route and the request,
// with what its ledger knows.
func planJobs(route media.Route, req event.Request, known results.Ledger) plan {
	var p plan
	for _, job := range route.Jobs {
		if req.Wants(job.Name) && !known.Has(job.Name, req.Attempt) {
			p.missing = append(p.missing, job)
		}
	}
	for _, name := range req.Jobs {
		inRoute := slices.ContainsFunc(route.Jobs, func(job media.Job) bool { return job.Name == name })
		if !inRoute && !known.Has(name, req.Attempt) {
			p.unknown = append(p.unknown, name)
		}
	}
	return p
}

// outcome is what one try made of a job.
type outcome struct {
	result   media.Result       // the job, created or adopted
	adopted  bool               // an earlier try created it
	rejected *results.Rejection // it will never run
	refused  *results.Refusal   // to be noted
	unknown  bool               // it may have been created, without an answer
	err      error              // it must be tried again
}

// used reports whether the job took its place in the day's limit.
func (o outcome) used() bool { return o.unknown || o.result.JobID != "" }

// entry is what the ledger learns of an outcome.
func (o outcome) entry(day string) results.Entry {
	e := results.Entry{ID: o.result.JobID, Refused: o.refused, Rejected: o.rejected}
	if o.unknown {
		e.Reserved = day
	}
	return e
}
