package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

// overview is how things are. What could not be found out is nil.
type overview struct {
	Stack       string          `json:"stack"`
	Region      string          `json:"region"`
	Open        *openJobs       `json:"open,omitempty"`
	JobsToday   *int64          `json:"jobs_today,omitempty"` // by UTC
	DailyLimit  int64           `json:"daily_job_limit"`      // 0: none
	RetryQueue  *operator.Depth `json:"retry_queue,omitempty"`
	DeadLetters *operator.Depth `json:"dead_letters,omitempty"`
	States      map[string]int  `json:"states,omitempty"` // rows, when asked for
}

// openJobs are the jobs that are not over.
type openJobs struct {
	Jobs    int          `json:"jobs"`
	Overdue int          `json:"overdue"` // sweep is to ask for them
	Oldest  *results.Row `json:"oldest,omitempty"`
}

// overview prints what a person who was woken up has to know first. One part
// that cannot be found out does not hide the others.
func (j *jobs) overview(ctx context.Context) error {
	out := j.stack.Outputs
	o := overview{Stack: j.stack.Name, Region: out.Region, DailyLimit: out.Settings.DailyJobLimit}
	var errs [6]error
	o.Open, errs[0] = j.openJobs(ctx)
	o.JobsToday, errs[1] = j.jobsToday(ctx)
	o.RetryQueue, errs[2] = j.stack.QueueDepth(ctx, out.RetryQueueURL)
	o.DeadLetters, errs[3] = j.stack.QueueDepth(ctx, out.DeadLetterQueueURL)
	if j.count {
		o.States, errs[4] = j.countStates(ctx)
	}
	if j.JSON {
		errs[5] = j.PrintJSON(o)
	} else {
		j.printOverview(o)
	}
	return errors.Join(errs[:]...)
}

func (j *jobs) openJobs(ctx context.Context) (*openJobs, error) {
	var o openJobs
	now := j.Now()
	for row, err := range j.table.UnfinishedRows(ctx) {
		if err != nil {
			return nil, err
		}
		o.Jobs++
		if !row.CheckAt.Time().After(now) {
			o.Overdue++
		}
		if o.Oldest == nil || row.Since().Before(o.Oldest.Since()) {
			o.Oldest = &row
		}
	}
	return &o, nil
}

func (j *jobs) jobsToday(ctx context.Context) (*int64, error) {
	n, err := j.table.JobCount(ctx, j.Now())
	if err != nil {
		return nil, err
	}
	return &n, nil
}

func (j *jobs) countStates(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	for row, err := range j.scan(ctx, "") {
		if err != nil {
			return nil, err
		}
		counts[row.State]++
	}
	return counts, nil
}

func (j *jobs) printOverview(o overview) {
	if j.stack.Local {
		fmt.Fprint(j.Out, "the local run\n\n")
	} else {
		fmt.Fprintf(j.Out, "stack %s in %s\n\n", o.Stack, o.Region)
	}
	t := cli.NewTable(j.Out)
	t.Row("open jobs", o.Open.text(j.Now()))
	t.Row("new jobs today (UTC)", o.today())
	t.Row("retry queue", depth(o.RetryQueue))
	t.Row("dead letters", depth(o.DeadLetters))
	for _, state := range slices.Sorted(maps.Keys(o.States)) {
		t.Row("rows "+state, fmt.Sprint(o.States[state]))
	}
	_ = t.Flush()
	for _, hint := range j.hints(o) {
		fmt.Fprintf(j.Out, "\n%s\n", hint)
	}
}

const unknown = "unknown"

func (o *openJobs) text(now time.Time) string {
	switch {
	case o == nil:
		return unknown
	case o.Oldest == nil:
		return "0"
	}
	return fmt.Sprintf("%d, of which %d overdue; the oldest began %s ago: %s of %s",
		o.Jobs, o.Overdue, cli.Roughly(now.Sub(o.Oldest.Since())), jobName(*o.Oldest), o.Oldest.Key)
}

func (o overview) today() string {
	switch {
	case o.JobsToday == nil:
		return unknown
	case o.DailyLimit == 0: // nobody counts them then
		return "not counted: there is no limit"
	}
	return fmt.Sprintf("%d of %d", *o.JobsToday, o.DailyLimit)
}

func depth(d *operator.Depth) string {
	switch {
	case d == nil:
		return unknown
	case d.All() == 0:
		return "0"
	}
	return fmt.Sprintf("%d: %d visible, %d in flight, %d delayed", d.All(), d.Visible, d.InFlight, d.Delayed)
}

// hints say what to do next.
func (j *jobs) hints(o overview) []string {
	var hints []string
	if o.DeadLetters != nil && o.DeadLetters.All() > 0 {
		hints = append(hints, "Dead letters are uploads that were given up. Why, and how they are sent back:\n  "+j.Command("redrive"))
	}
	if o.RetryQueue != nil && o.RetryQueue.All() > 0 {
		hints = append(hints, fmt.Sprintf("Uploads in the retry queue are tried every %s, for %s. Why they fail is in dispatch's log, %s.",
			cli.Roughly(media.RetryVisibility), cli.Roughly(media.RetryTime), j.stack.Outputs.LogGroups["dispatch"]))
	}
	if o.JobsToday != nil && o.DailyLimit > 0 && *o.JobsToday >= o.DailyLimit {
		hints = append(hints, "The day's limit of new jobs is reached (dailyJobLimit): until 00:00 UTC, uploads wait in the retry queue.")
	}
	if o.Open != nil && o.Open.Overdue > 0 {
		hints = append(hints, "The callbacks of overdue jobs did not come. Sweep asks Ittybit for them on its schedule, or now:\n  "+j.Command("jobs", "-settle"))
	}
	return hints
}
