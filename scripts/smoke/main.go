// Command smoke tests a deployed stack from end to end with an upload of its
// own.
package main

import (
	"context"
	"flag"
	"time"

	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

const usage = `Try a deployed stack from end to end.

  go run ./scripts/smoke -stack STACK    after pulumi up
  go run ./scripts/smoke -local          on the local run

It uploads testdata/sample.mov under the first route's prefix that takes it, as
PREFIX/smoke-RANDOM/smoke-RANDOM.mov, follows it until each of the route's jobs
is over, and prints how long each part of the way took. Events of a bucket whose
notifications were just configured take some five minutes to start; meanwhile it
uploads again every minute. Where something is stuck it says what, and where to
look.

Beside that it sends dispatch a probe, an event that fails on purpose, and waits
until it comes back from the retry queue, a minute later: only in an account
does it show that Lambda may deliver there. The probe is about no upload.

Then it finds out what Ittybit's documentation leaves open, and says what each
answer means for the stack's configuration. That takes jobs of its own, each a
picture of 64 pixels, which Ittybit keeps; -dry-run says how many. Beside them
it costs the route's jobs for one upload. It never asks before it begins.

In the end, and after Ctrl-C, it deletes the upload, its outputs in the bucket
and its rows: nothing but what has its random name. Rows of jobs that are not
over stay. Result events, where the stack sends them, tell of its jobs too, and
another stack that watches the bucket makes jobs of its own for the upload.

  go run ./scripts/smoke -stack prod
  go run ./scripts/smoke -stack prod -dry-run
  go run ./scripts/smoke -stack prod -no-questions -skip-retry-path
  go run ./scripts/smoke -stack prod -timeout 30m -keep

The exit code is 0 when every job succeeded and was called back and the probe
came back, 1 when something did not, 2 when the command line or the routes are
wrong. No answer of Ittybit's makes it 1.
`

// options are what the command line says.
type options struct {
	timeout       time.Duration
	noQuestions   bool
	skipRetryPath bool
	keep          bool
}

// pace is how often smoke looks and how long it waits, by the clock on the
// wall.
type pace struct {
	look     time.Duration // between two looks
	again    time.Duration // until an upload that nobody noticed is uploaded again
	comeBack time.Duration // for the probe
	job      time.Duration // for a job of a question to end
	inLog    time.Duration // for a line to be found that was logged
}

var unhurried = pace{
	look:     2 * time.Second,
	again:    time.Minute,
	comeBack: 5 * time.Minute,
	job:      2 * time.Minute,
	inLog:    time.Minute,
}

func main() { cli.Main(script(unhurried)) }

func script(p pace) cli.Command {
	return operator.Command("smoke", usage, func(flags *flag.FlagSet) func(context.Context, *operator.Call) error {
		var o options
		flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long to follow the upload")
		flags.BoolVar(&o.noQuestions, "no-questions", false, "do not try what is open about Ittybit: no jobs beside the route's")
		flags.BoolVar(&o.skipRetryPath, "skip-retry-path", false, "send no probe through the retry queue")
		flags.BoolVar(&o.keep, "keep", false, "leave the upload, its outputs and its rows there")
		return func(ctx context.Context, c *operator.Call) error {
			switch {
			case len(c.Args) > 0:
				return cli.Usagef("smoke takes no arguments, but there is %q", c.Args[0])
			case o.timeout <= 0:
				return cli.Usagef("-timeout %v is not above 0", o.timeout)
			}
			return run(ctx, c, o, p)
		}
	})
}
