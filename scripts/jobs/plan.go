package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
)

// again reports whether a job in that state can be made again.
func again(state string) bool {
	return state == media.Failed.String() || state == media.Cancelled.String() || state == media.Rejected
}

// Why a job is left alone that somebody asks for.
const (
	stillOpen    = "an attempt is open"
	hasSucceeded = "an attempt succeeded"
	hasNewer     = "a later attempt is not of those asked for"
	isReplaced   = "a later upload is under the key now (-upload names this one all the same)"
	noSuchJob    = "their route makes no job of that name now"
)

// plan is how the jobs of one key are made again.
type plan struct {
	requests []event.Request
	left     map[string]int // jobs that are left alone, by why
	errs     []error        // uploads that nobody can ask for again
}

// plan looks among a key's rows for the jobs to be made again.
func (j *jobs) plan(rows []results.Row, now time.Time) plan {
	p := plan{left: map[string]int{}}
	uploads := byUpload(rows)
	for _, rows := range uploads {
		isOld := inTime(whole(rows), whole(uploads[len(uploads)-1])) < 0
		if err := j.planUpload(&p, rows, isOld, now); err != nil {
			p.errs = append(p.errs, fmt.Errorf("%s: upload %s: %w", cli.Printable(rows[0].Key), rows[0].Upload, err))
		}
	}
	return p
}

// planUpload plans for one upload. The next attempt is the highest one plus 1:
// until dispatch has made that, asking again asks for the same once more, of
// which dispatch makes one job.
func (j *jobs) planUpload(p *plan, rows []results.Row, isOld bool, now time.Time) error {
	u, known := j.uploadOf(rows)
	route, skip := j.routes.For(u, j.outputs())
	attempts := map[int][]string{} // attempt → jobs
	for _, name := range names(rows, route) {
		attempt, why := j.next(rows, name, now)
		switch {
		case attempt == 0:
		case why != "":
			p.left[why]++
		case isOld && j.upload == "":
			p.left[isReplaced]++
		case skip != "":
			return fmt.Errorf("dispatch makes no job of it now: %s", skip)
		case !slices.ContainsFunc(route.Jobs, func(job media.Job) bool { return job.Name == name }):
			p.left[noSuchJob]++
		default:
			attempts[attempt] = append(attempts[attempt], name)
		}
	}
	if len(attempts) > 0 && !known {
		return fmt.Errorf("its rows do not tell which version of the object it is; to have dispatch complete them:\n  %s", j.Command("backfill", "-prefix", rows[0].Key))
	}
	for _, attempt := range slices.Sorted(maps.Keys(attempts)) {
		p.requests = append(p.requests, event.Request{Upload: u, Attempt: attempt, Jobs: attempts[attempt]})
	}
	return nil
}

// uploadOf is the upload that rows are of, and whether they tell it: those that
// only a callback wrote do not.
func (j *jobs) uploadOf(rows []results.Row) (u media.Upload, known bool) {
	for _, row := range rows {
		if u = row.Uploaded(); u.ID(j.table.Name()) == row.Upload {
			return u, true
		}
	}
	return u, false
}

// names are the jobs of an upload: when it was rejected as a whole, all that
// its route makes, and "" where that is none.
func names(rows []results.Row, route media.Route) []string {
	names := map[string]bool{}
	for _, row := range rows {
		names[row.Job] = true
	}
	if names[""] && len(route.Jobs) > 0 {
		delete(names, "")
		for _, job := range route.Jobs {
			names[job.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// next is the attempt in which a job of an upload would be made again, 0 when
// nobody asks for it, and why it is not, if it is not.
func (j *jobs) next(rows []results.Row, name string, now time.Time) (attempt int, why string) {
	var asked, running, succeeded bool
	for _, row := range rows {
		if row.Job != name && row.Job != "" {
			continue
		}
		asked = asked || j.asksFor(row, name, now)
		running = running || row.Open != ""
		succeeded = succeeded || row.State == media.Succeeded.String()
	}
	if !asked {
		return 0, ""
	}
	last, _ := latest(rows, rows[0].Upload, name)
	switch {
	case running:
		why = stillOpen
	case succeeded && j.id == "":
		why = hasSucceeded
	case !j.asksFor(last, name, now):
		why = hasNewer
	}
	return last.Attempt + 1, why
}

// asksFor reports whether the job is to be made again that a row is about: the
// one of that name, where all of the upload's were rejected.
func (j *jobs) asksFor(row results.Row, name string, now time.Time) bool {
	row.Job = name
	return (again(row.State) || j.id != "" && row.Open == "") && j.takes(row, now)
}
