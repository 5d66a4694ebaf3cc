package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
)

// open is every state of a job that is not over.
const open = "open"

// states are the words for -state.
var states = []string{
	open, media.Queued.String(), media.Processing.String(),
	media.Failed.String(), media.Cancelled.String(), media.Rejected, media.Succeeded.String(),
}

// filter says which rows are wanted; its zero value takes all.
type filter struct {
	cli.Ages // since the job began

	state  string
	error  string
	job    string
	prefix string
	id     string
	upload string
	limit  int // 0: none
}

func (f filter) check() error {
	switch {
	case f.state != "" && !slices.Contains(states, f.state):
		hint := ""
		if near := media.Nearest(f.state, states); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return cli.Usagef("-state %s is none of %s%s", cli.Printable(f.state), strings.Join(states, ", "), hint)
	}
	return cmp.Or(f.Ages.Check(), cli.CheckLimit(f.limit))
}

// given reports whether the filter leaves anything out.
func (f filter) given() bool {
	f.limit = 0
	return f != filter{}
}

// indexed reports whether the table's index has all that the filter wants.
func (f filter) indexed() bool {
	return f.state == open || f.state == media.Queued.String() || f.state == media.Processing.String()
}

// takes reports whether a row is wanted.
func (f filter) takes(r results.Row, now time.Time) bool {
	switch {
	case f.state == open && r.Open == "", f.state != open && f.state != "" && r.State != f.state:
	case !f.Hold(now.Sub(r.Since())):
	case !strings.Contains(strings.ToLower(r.Error), strings.ToLower(f.error)):
	case f.job != "" && r.Job != f.job:
	case !strings.HasPrefix(r.Key, f.prefix):
	case f.id != "" && r.JobID() != f.id:
	case f.upload != "" && r.Upload != f.upload:
	default:
		return true
	}
	return false
}
