package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
)

// makeAgain has jobs made again: it counts them, asks, and hands their uploads
// to dispatch.
func (j *jobs) makeAgain(ctx context.Context) error {
	warn := func(err error) { j.Note("%v", err) }
	if j.DryRun || !j.Asks() {
		return j.send(ctx, j.limit, warn)
	}
	count := j.repeater(j.limit, warn, func(event.Request) error { return nil })
	if err := count.run(ctx); err != nil {
		return err
	}
	if count.jobs == 0 {
		return j.told(count)
	}
	if err := j.Confirm(ctx, j.question(ctx, count)); err != nil {
		return err
	}
	return j.send(ctx, count.jobs, func(error) {}) // no more than was agreed to
}

// question says what an answer of yes does.
func (j *jobs) question(ctx context.Context, r *repeater) string {
	cost := "Ittybit charges for each job again."
	if limit := j.stack.Outputs.Settings.DailyJobLimit; limit > 0 {
		today, err := j.table.JobCount(ctx, j.Now())
		if room := max(limit-today, 0); err == nil && int64(r.jobs) > room {
			cost += fmt.Sprintf(" The day's limit leaves room for %d; the others will wait in the retry queue.", room)
		}
	}
	return fmt.Sprintf("%s Make %s of %s again?", cost, cli.Count(r.jobs, "job"), cli.Count(r.uploads, "upload"))
}

// send hands the uploads to dispatch, and follows the jobs if it is to.
func (j *jobs) send(ctx context.Context, most int, warn func(error)) error {
	dispatcher := j.stack.Dispatcher(j.rate)
	var asked []*followed
	r := j.repeater(most, warn, func(request event.Request) error {
		if j.DryRun {
			return j.printRequest(request)
		}
		if err := dispatcher.Turn(ctx); err != nil {
			return err
		}
		finish, cancel := cli.Finish(ctx)
		defer cancel()
		if err := dispatcher.Ask(finish, event.Retry, request); err != nil {
			return err
		}
		if j.follow {
			f := newFollowed(request.Upload.Key, j.identity(request.Upload))
			for _, name := range request.Jobs {
				f.jobs[name] = request.Attempt
			}
			asked = append(asked, f)
		}
		return j.printRequest(request)
	})
	err := r.run(ctx)
	if told := j.told(r); err == nil {
		err = told
	} else if r.jobs > 0 {
		j.Note("What is left is made when the same command runs again.")
	}
	if err == nil && len(asked) > 0 {
		err = j.wait(ctx, asked)
	}
	return err
}

func (j *jobs) identity(u media.Upload) string { return u.ID(j.table.Name()) }

// told says what was done, and is an error when that is not what was asked for.
func (j *jobs) told(r *repeater) error {
	done := "handed to dispatch"
	if j.DryRun {
		done = "would be handed to dispatch"
	}
	j.Note("%s of %s %s", cli.Count(r.jobs, "job"), cli.Count(r.uploads, "upload"), done)
	for _, why := range slices.Sorted(maps.Keys(r.left)) {
		j.Note("%s left alone: %s", cli.Count(r.left[why], "job"), why)
	}
	switch {
	case r.failed > 0:
		return fmt.Errorf("%s cannot be asked for again", cli.Count(r.failed, "upload"))
	case r.jobs == 0 && len(j.Args) > 0:
		return errors.New("there is nothing to make again")
	}
	return nil
}

// asked is a request as -json prints it.
type asked struct {
	Key     string   `json:"pk"`
	Upload  string   `json:"upload"`
	Attempt int      `json:"attempt"`
	Jobs    []string `json:"jobs"`
	Sent    bool     `json:"sent"`
}

func (j *jobs) printRequest(r event.Request) error {
	if j.JSON {
		return j.PrintJSON(asked{r.Upload.Key, j.identity(r.Upload), r.Attempt, r.Jobs, !j.DryRun})
	}
	_, err := fmt.Fprintf(j.Out, "%s: attempt %d of %s\n", cli.Printable(r.Upload.Key), r.Attempt, cli.Printable(strings.Join(r.Jobs, ", ")))
	return err
}

// repeater goes through the jobs to be made again, key after key.
type repeater struct {
	script *jobs
	now    time.Time
	most   int                       // jobs; 0: all
	do     func(event.Request) error // done with each request
	warn   func(error)               // told of what nobody can ask for

	jobs, uploads, failed int // so far
	left                  map[string]int
}

func (j *jobs) repeater(most int, warn func(error), do func(event.Request) error) *repeater {
	return &repeater{script: j, now: j.Now(), most: most, do: do, warn: warn, left: map[string]int{}}
}

func (r *repeater) isFull() bool { return r.most > 0 && r.jobs >= r.most }

func (r *repeater) run(ctx context.Context) error {
	for _, key := range r.script.Args {
		if r.isFull() {
			return nil
		}
		if err := r.key(ctx, key); err != nil {
			return err
		}
	}
	if len(r.script.Args) > 0 {
		return nil
	}
	wanted := r.script.filter
	wanted.limit = 0 // it is of jobs
	last := ""       // a scan gives the rows of a key together
	for row, err := range r.script.found(ctx, wanted) {
		if err != nil {
			return err
		}
		if row.Key == last || !r.script.asksFor(row, row.Job, r.now) {
			continue
		}
		last = row.Key
		if err := r.key(ctx, row.Key); err != nil {
			return err
		}
		if r.isFull() {
			return nil
		}
	}
	return nil
}

func (r *repeater) key(ctx context.Context, key string) error {
	rows, err := r.script.rowsOf(ctx, key)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		r.failed++
		r.warn(fmt.Errorf("%s has no row; to see why:\n  %s", cli.Printable(key), r.script.Command("jobs", key)))
		return nil
	}
	p := r.script.plan(rows, r.now)
	for why, n := range p.left {
		r.left[why] += n
	}
	for _, err := range p.errs {
		r.failed++
		r.warn(err)
	}
	uploads := map[string]bool{}
	for _, request := range p.requests {
		if r.isFull() {
			return nil
		}
		if r.most > 0 {
			request.Jobs = request.Jobs[:min(len(request.Jobs), r.most-r.jobs)]
		}
		if err := r.do(request); err != nil {
			return err
		}
		r.jobs += len(request.Jobs)
		if id := r.script.identity(request.Upload); !uploads[id] {
			uploads[id] = true
			r.uploads++
		}
	}
	return nil
}
