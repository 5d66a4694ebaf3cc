package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
)

// How often the rows are read that are followed: often at first, when most jobs
// end.
const (
	shortestPoll = time.Second
	longestPoll  = 10 * time.Second
)

// hintAfter is how long a first row is waited for before it is said where else
// to look.
const hintAfter = time.Minute

// followed is an upload whose jobs are waited for.
type followed struct {
	key, upload string
	jobs        map[string]int // name → the least attempt that counts
	seen        map[string]results.Row
}

func newFollowed(key, upload string) *followed {
	return &followed{key: key, upload: upload, jobs: map[string]int{}, seen: map[string]results.Row{}}
}

// followKeys waits until the jobs of the keys' uploads are over: of the objects
// that are there now, or of the latest ones that there are rows of.
func (j *jobs) followKeys(ctx context.Context) error {
	var all []*followed
	for _, key := range j.Args {
		f, err := j.expect(ctx, key)
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	return j.wait(ctx, all)
}

// lastTry is how long after an upload the retry queue may still make its jobs.
const lastTry = media.RetryDelay + media.RetryTime

// expect says which jobs of a key there will be.
func (j *jobs) expect(ctx context.Context, key string) (*followed, error) {
	rows, err := j.rowsOf(ctx, key)
	if err != nil {
		return nil, err
	}
	f := newFollowed(key, j.upload)
	var skip string
	if f.upload == "" {
		o, err := j.object(ctx, key)
		switch {
		case err == nil:
			f.upload = o.Upload
			var route media.Route
			route, skip = j.routes.For(o.upload, j.outputs())
			if j.Now().Sub(o.Modified) < lastTry { // later, only what is there counts
				for _, job := range route.Jobs {
					f.jobs[job.Name] = 0
				}
			}
		case len(rows) == 0:
			return nil, err
		default:
			j.Note("%v; these are the jobs of the latest upload", err)
			uploads := byUpload(rows)
			f.upload = uploads[len(uploads)-1][0].Upload
		}
	}
	for _, row := range rows {
		if row.Upload == f.upload && row.Job != "" {
			f.jobs[row.Job] = 0
		}
	}
	if len(f.jobs) == 0 {
		return nil, fmt.Errorf("%s has no job to follow: %s", cli.Printable(key), cmp.Or(skip, "no row is of that upload"))
	}
	return f, nil
}

// wait prints how the jobs change until all are over. It fails unless all
// succeeded.
func (j *jobs) wait(ctx context.Context, all []*followed) error {
	began, hinted := time.Now(), false
	for pause := shortestPoll; ; pause = min(pause*3/2, longestPoll) {
		left, found := 0, false
		for _, f := range all {
			n, err := j.poll(ctx, f)
			if err != nil {
				return err
			}
			left += n
			found = found || len(f.seen) > 0
		}
		if left == 0 {
			return verdict(all)
		}
		if !found && !hinted && time.Since(began) > hintAfter {
			hinted = true
			j.Note("There is no row yet. What else is known:\n  %s", j.Command("jobs", all[0].key))
		}
		if err := cli.Pause(ctx, pause); err != nil {
			return err
		}
	}
}

// poll reads the rows of an upload, prints what is new, and counts the jobs
// that are not over.
func (j *jobs) poll(ctx context.Context, f *followed) (left int, err error) {
	rows, err := j.rowsOf(ctx, f.key)
	if err != nil {
		return 0, err
	}
	for _, name := range slices.Sorted(maps.Keys(f.jobs)) {
		row, ok := latest(rows, f.upload, name)
		if !ok || row.Attempt < f.jobs[name] {
			left++
			continue
		}
		if row.Open != "" {
			left++
		}
		before, known := f.seen[name]
		f.seen[name] = row
		if known && before.SortKey == row.SortKey && before.State == row.State && before.Attempt == row.Attempt {
			continue
		}
		if j.JSON {
			if err := j.PrintJSON(printable(row)); err != nil {
				return 0, err
			}
			continue
		}
		now := j.Now()
		fmt.Fprintf(j.Out, "%s  %s: %s %s %s\n", now.UTC().Format(time.TimeOnly), cli.Printable(f.key), cli.Printable(name), row.State, cli.Printable(outcome(row, now)))
	}
	return left, nil
}

// latest is the row of a job's last attempt, which may be the note that its
// whole upload was rejected.
func latest(rows []results.Row, upload, job string) (last results.Row, ok bool) {
	for _, row := range rows {
		if row.Upload == upload && (row.Job == job || row.Job == "") && (!ok || row.Attempt > last.Attempt || row.Attempt == last.Attempt && row.Job != "") {
			last, ok = row, true
		}
	}
	return last, ok
}

// verdict is an error unless all jobs succeeded.
func verdict(all []*followed) error {
	jobs, bad := 0, 0
	for _, f := range all {
		for _, row := range f.seen {
			jobs++
			if row.State != media.Succeeded.String() {
				bad++
			}
		}
	}
	if bad > 0 {
		return errors.New(cli.Count(bad, "job") + fmt.Sprintf(" of %d did not succeed", jobs))
	}
	return nil
}
