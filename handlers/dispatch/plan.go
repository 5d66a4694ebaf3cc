package main

import (
	"slices"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

// plan is what there is to do for an upload.
type plan struct {
	unnoted []results.Row // of jobs that a callback noted, and dispatch did not
	missing []media.Job   // to be made
	unknown []string      // asked for by name, though the route has no such job
}

// planJobs compares what an upload should have, by its route and the request,
// with the rows that there are.
func planJobs(route media.Route, req event.Request, rows results.UploadRows) plan {
	p := plan{unnoted: rows.Unnoted(req.Attempt)}
	for _, job := range route.Jobs {
		if req.Wants(job.Name) && !rows.Has(job.Name, req.Attempt) {
			p.missing = append(p.missing, job)
		}
	}
	for _, name := range req.Jobs {
		inRoute := slices.ContainsFunc(route.Jobs, func(job media.Job) bool { return job.Name == name })
		if !inRoute && !rows.Has(name, req.Attempt) {
			p.unknown = append(p.unknown, name)
		}
	}
	return p
}
