// Command jobs shows what became of uploads and their jobs, and reruns failed
// ones.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

const usage = `What became of uploads and their jobs; failed ones are made again.

  go run ./scripts/jobs [flags]            how things are: open jobs, today's jobs, queues
  go run ./scripts/jobs [flags] KEY…       what happened to these keys
  go run ./scripts/jobs [flags] -state …   the jobs of a state, age, error, name
  go run ./scripts/jobs -follow KEY…       wait until the jobs of the keys are over
  go run ./scripts/jobs -retry KEY…        make failed, cancelled and rejected jobs again
  go run ./scripts/jobs -retry -state …    … all of them that fit
  go run ./scripts/jobs -settle            run sweep now

Of a key, it prints the rows of all uploads and attempts, with the time of each
leg after the upload. A key without rows it explains: is the object there, does a
route take it, what did the functions log about it, what waits in the queues.

Lists of open jobs (-state open, queued or processing) come from the table's
index and cost next to nothing; every other list reads the whole table, some
2 cents for a million rows. -older and -newer go by when a job began.

-retry makes a new attempt, on purpose, which Ittybit charges for again. It asks
first; -dry-run only shows. A job of which an attempt runs or succeeded is left
alone, as is an upload that a later one under its key replaced (-upload names it
all the same); a job that succeeded runs again only where -id names it. Stopped
and started again, it makes nothing twice. It never deletes or changes a row.

  go run ./scripts/jobs -stack prod
  go run ./scripts/jobs -stack prod 'uploads/a b.mov'
  go run ./scripts/jobs -stack prod -logs -since 72h uploads/a.mov
  go run ./scripts/jobs -stack prod -state open -older 1h
  go run ./scripts/jobs -stack prod -state failed -newer 24h -error timeout -json
  go run ./scripts/jobs -stack prod -retry -dry-run -state failed -newer 24h
  go run ./scripts/jobs -stack prod -retry -follow uploads/a.mov
  go run ./scripts/jobs -local -settle

The exit code is 0 when it is done; 1 when something failed, a key has no row or
nothing to make again, followed jobs did not all succeed, or sweep failed or has
jobs left; 2 when the command line is wrong.
`

var script = operator.Command("jobs", usage, declare)

func main() { cli.Main(script) }

// command is what the command line says.
type command struct {
	filter
	logs   bool
	since  time.Duration
	follow bool
	retry  bool
	rate   float64
	settle bool
	count  bool
}

func declare(flags *flag.FlagSet) func(context.Context, *operator.Call) error {
	var c command
	flags.StringVar(&c.state, "state", "", "only rows of this `STATE`: "+strings.Join(states, ", "))
	flags.DurationVar(&c.Older, "older", 0, "only jobs that began longer ago than `TIME`, such as 1h")
	flags.DurationVar(&c.Newer, "newer", 0, "only jobs that began within `TIME`")
	flags.StringVar(&c.error, "error", "", "only rows whose error has this `TEXT`, whatever the case")
	flags.StringVar(&c.job, "job", "", "only jobs of this `NAME`")
	flags.StringVar(&c.prefix, "prefix", "", "only keys that begin with `PREFIX`")
	flags.StringVar(&c.id, "id", "", "only the job that Ittybit calls `JOBID`")
	flags.StringVar(&c.upload, "upload", "", "only the upload of this `ID`")
	flags.IntVar(&c.limit, "limit", 0, "at most `N` rows of a list, or jobs made again; 0: all")
	flags.BoolVar(&c.logs, "logs", false, "print what the functions logged about the keys, too")
	flags.DurationVar(&c.since, "since", 24*time.Hour, "how long ago to begin in the logs, as a `TIME`")
	flags.BoolVar(&c.follow, "follow", false, "wait until the keys' jobs are over")
	flags.BoolVar(&c.retry, "retry", false, "make failed, cancelled and rejected jobs again")
	flags.Float64Var(&c.rate, "rate", 5, "at most `N` uploads a second are handed to dispatch by -retry")
	flags.BoolVar(&c.settle, "settle", false, "run sweep now and wait for it")
	flags.BoolVar(&c.count, "count", false, "count the rows of each state, which reads the whole table")
	return func(ctx context.Context, call *operator.Call) error {
		given := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if err := c.check(given, len(call.Args) > 0); err != nil {
			return err
		}
		stack, err := call.Connect(ctx)
		if err != nil {
			return err
		}
		routes, err := stack.Outputs.Settings.ParseRoutes()
		if err != nil {
			return err
		}
		j := &jobs{command: c, Call: call, stack: stack, routes: routes, table: stack.Table()}
		for i, key := range call.Args { // as errors and rows show uploads
			call.Args[i] = strings.TrimPrefix(key, "s3://"+stack.Outputs.Bucket+"/")
		}
		return j.run(ctx, given)
	}
}

// common are the flags that go with every form of the command.
var common = []string{"stack", "local", "json", "dry-run", "yes"}

// forms are the flags that go with each form of the command beside [common].
var forms = map[string][]string{
	"-settle":        {"settle"},
	"-retry":         {"retry", "rate", "follow", "state", "older", "newer", "error", "job", "prefix", "id", "upload", "limit"},
	"-follow":        {"follow", "upload"},
	"keys":           {"logs", "since", "state", "older", "newer", "error", "job", "id", "upload"},
	"a list of jobs": {"state", "older", "newer", "error", "job", "prefix", "id", "upload", "limit"},
	"-count":         {"count"},
}

func (c *command) form(keys bool) string {
	switch {
	case c.settle:
		return "-settle"
	case c.retry:
		return "-retry"
	case c.follow:
		return "-follow"
	case keys:
		return "keys"
	case c.count:
		return "-count"
	}
	return "a list of jobs"
}

// check refuses what makes no sense before anything is asked.
func (c *command) check(given map[string]bool, keys bool) error {
	form := c.form(keys)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(forms[form], name) && !slices.Contains(common, name) {
			return cli.Usagef("-%s does not go with %s", name, form)
		}
	}
	switch {
	case keys && (c.settle || c.count):
		return cli.Usagef("%s takes no keys", form)
	case c.follow && !keys:
		return cli.Usagef("-follow needs the keys whose jobs to follow")
	case c.since <= 0:
		return cli.Usagef("-since %v is not above 0", c.since)
	case c.retry && !keys && !c.filter.given():
		return cli.Usagef("-retry needs keys, or flags that say which jobs, such as -state failed")
	case c.retry && c.state != "" && !again(c.state):
		return cli.Usagef("-retry is for jobs that failed, were cancelled or rejected; a job that succeeded runs again where -id names it")
	}
	return cmp.Or(cli.CheckRate(c.rate), c.filter.check())
}

// jobs is one call of the script.
type jobs struct {
	command
	*operator.Call
	stack  *operator.Stack
	routes media.Routes
	table  *results.Table
	warned bool // of what a scan costs
}

func (j *jobs) run(ctx context.Context, given map[string]bool) error {
	switch {
	case j.settle:
		return j.runSweep(ctx)
	case j.retry:
		return j.makeAgain(ctx)
	case j.follow:
		return j.followKeys(ctx)
	case len(j.Args) > 0:
		return j.keys(ctx)
	case j.filter.given() || given["limit"]:
		return j.list(ctx)
	}
	return j.overview(ctx)
}

// outputs is the folder in which nothing is an upload.
func (j *jobs) outputs() media.Folder {
	return media.Folder{Bucket: j.stack.Outputs.Bucket, Prefix: j.stack.Outputs.Settings.OutputPrefix}
}

// rowsOf reads all rows of a key.
func (j *jobs) rowsOf(ctx context.Context, key string) ([]results.Row, error) {
	if key == "" || len(key) > media.MaxKey {
		return nil, cli.Usagef("%q is no key: S3's have 1 to %d bytes", cli.Printable(key), media.MaxKey)
	}
	var rows []results.Row
	for row, err := range j.table.RowsByKey(ctx, key) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cli.Printable(key), err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}
