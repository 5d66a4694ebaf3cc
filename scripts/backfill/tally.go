package main

import (
	"maps"

	"ittybit-media/handlers/media"
)

// Why something in the bucket is not sent, beside what dispatch skips itself
// (see [media.Routes.For]).
const (
	skipSelection = "not selected" // by -suffix, -since, -until
	skipMarker    = "delete marker"
	skipOld       = "older version"
	skipHidden    = "deleted since" // an older version of what Ittybit no longer finds
	skipArchived  = "archived"
)

// route is the route by which an entry gets jobs, or why it gets none.
func (b *backfill) route(e entry) (media.Route, string) {
	switch {
	case !b.ends(e.upload.Key):
		return media.Route{}, skipSelection
	case e.marker:
		return media.Route{}, skipMarker
	case e.old && !b.Versions:
		return media.Route{}, skipOld
	case !b.Window.holds(e.upload.Time):
		return media.Route{}, skipSelection
	}
	route, skip := b.routes.For(e.upload, b.outputs)
	switch {
	case skip != "":
		return media.Route{}, skip
	case e.hidden:
		return media.Route{}, skipHidden
	case e.archived:
		return media.Route{}, skipArchived
	}
	return route, ""
}

// tally is what became of what the bucket lists.
type tally struct {
	Objects int64            `json:"objects"`
	Sent    int64            `json:"sent"`
	Jobs    int64            `json:"jobs"`  // of those sent
	Bytes   int64            `json:"bytes"` // of those sent
	Skipped map[string]int64 `json:"skipped"`
}

func newTally() tally { return tally{Skipped: map[string]int64{}} }

// skip counts something that is not sent.
func (t *tally) skip(why string) {
	t.Objects++
	t.Skipped[why]++
}

// send counts an object that is sent for some jobs.
func (t *tally) send(u media.Upload, jobs int) {
	t.Objects++
	t.Sent++
	t.Jobs += int64(jobs)
	t.Bytes += u.Size
}

func (t *tally) add(other tally) {
	t.Objects += other.Objects
	t.Sent += other.Sent
	t.Jobs += other.Jobs
	t.Bytes += other.Bytes
	for why, n := range other.Skipped {
		t.Skipped[why] += n
	}
}

func (t tally) clone() tally {
	t.Skipped = maps.Clone(t.Skipped)
	return t
}
