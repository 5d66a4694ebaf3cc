// Command backfill sends objects that are already in the bucket to dispatch.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

const usage = `Have jobs made for what is already in the bucket.

  go run ./scripts/backfill [flags]

It lists the bucket and hands each object that a route takes, and of which the
table lacks a job, to dispatch, as its upload would have done. First it counts
and says what that may cost and how long it takes, and asks.

What dispatch would skip is skipped: keys of no route, folder markers, empty
objects, the output folder, uploads that have their jobs; as are delete markers
and objects archived in Glacier, which nobody can read before they are restored.
Uploads may go on meanwhile: an upload has the same identity whoever reports it,
so nothing is made twice.

-since and -until go by when S3 made the object, and take a time (RFC 3339), a
date (UTC) or an age, such as 72h. In a bucket with versioning, the current
versions are sent; with -versions the older ones, too, but Ittybit is given the
key and not the version: it reads the newest bytes under it every time.

It sends one object after the other, never more than -rate a second. It stops
before the day's limit of new jobs is reached, with a tenth of it left for live
uploads (-wait: goes on after midnight UTC), and when the retry queue grows, which
means that dispatch fails at what it gets. Stopped in any way, the same command
goes on where it ended; what it had sent by then is not sent again, or dispatch
finds that it has its jobs. -restart begins anew.

  go run ./scripts/backfill -stack prod -dry-run
  go run ./scripts/backfill -stack prod -limit 10
  go run ./scripts/backfill -stack prod -prefix uploads/2025/ -prefix uploads/2026/
  go run ./scripts/backfill -stack prod -suffix .mov,.mp4 -since 2026-01-01 -rate 2
  go run ./scripts/backfill -stack prod -wait -yes -json >sent.jsonl
  go run ./scripts/backfill -local

It needs s3:GetBucketVersioning, s3:ListBucket or, with versioning,
s3:ListBucketVersions on the bucket, dynamodb:Query and dynamodb:GetItem on the
table, sqs:GetQueueAttributes on the retry queue and lambda:InvokeFunction on
dispatch. It deletes nothing and writes to neither bucket nor table.

-json prints a line for each object sent and, last, what became of all. The exit
code is 0 when everything that was asked for is with Lambda, which does not mean
that its jobs have ended: go run ./scripts/jobs tells of those. It is 1 when it
stopped before, 2 when the command line is wrong.
`

var script = operator.Command("backfill", usage, declare)

func main() { cli.Main(script) }

// command is what the command line says.
type command struct {
	selection
	limit   int64
	rate    float64
	wait    bool
	restart bool
	file    string // of the checkpoint; "": see [checkpointFile]
}

func declare(flags *flag.FlagSet) func(context.Context, *operator.Call) error {
	var c command
	flags.Func("prefix", "only keys that begin with `PREFIX`; may be said again for others (default: those of the routes)", func(prefix string) error {
		c.Prefixes = append(c.Prefixes, prefix)
		return nil
	})
	flags.Func("suffix", "only keys that end in one of `SUFFIXES`, a list with commas, whatever the case (default: those of the routes)", func(list string) error {
		for suffix := range strings.SplitSeq(list, ",") {
			if suffix == "" {
				return errors.New("a suffix is empty")
			}
			c.Suffixes = append(c.Suffixes, suffix)
		}
		return nil
	})
	flags.StringVar(&c.Since, "since", "", "only objects made at `TIME` or later")
	flags.StringVar(&c.Until, "until", "", "only objects made before `TIME`")
	flags.BoolVar(&c.Versions, "versions", false, "in a bucket with versioning, all versions and not only the current ones")
	flags.Int64Var(&c.limit, "limit", 0, "stop after `N` objects were sent, for the next run to go on there; 0: never")
	flags.Float64Var(&c.rate, "rate", 5, "send at most `N` objects a second")
	flags.BoolVar(&c.wait, "wait", false, "at the day's limit of new jobs, wait for the next day")
	flags.BoolVar(&c.restart, "restart", false, "begin anew, wherever an earlier run ended")
	flags.StringVar(&c.file, "checkpoint", "", "keep how far it has come in `FILE` (default: one in .build/backfill for this stack and selection)")
	return func(ctx context.Context, call *operator.Call) error {
		within, err := c.check(ctx, call)
		if err != nil {
			return err
		}
		b, err := c.open(ctx, call, within)
		if err != nil {
			return err
		}
		return b.run(ctx)
	}
}

// check refuses what makes no sense before anything is asked.
func (c *command) check(ctx context.Context, call *operator.Call) (window, error) {
	switch {
	case len(call.Args) > 0:
		return window{}, cli.Usagef("there are no arguments beside flags: say -prefix %s", cli.Printable(call.Args[0]))
	}
	if err := cmp.Or(cli.CheckRate(c.rate), cli.CheckLimit(c.limit)); err != nil {
		return window{}, err
	}
	return c.selection.window(call.Now())
}

// backfill is one call of the script.
type backfill struct {
	command
	*operator.Call
	stack      *operator.Stack
	table      *results.Table
	routes     media.Routes
	outputs    media.Folder
	list       lister
	dispatcher operator.Dispatcher
	progress   *cli.Progress

	checkpoint       // as of the last key that is done
	tally      tally // as of now
	earlier    int64 // objects that earlier runs looked at
	sent       int64 // by this run
	began      time.Time
	saved      time.Time
}

// open finds what the call is about, and where an earlier one ended.
func (c command) open(ctx context.Context, call *operator.Call, within window) (*backfill, error) {
	stack, err := call.Connect(ctx)
	if err != nil {
		return nil, err
	}
	settings := stack.Outputs.Settings
	routes, err := settings.ParseRoutes()
	if err != nil {
		return nil, err
	}
	b := &backfill{
		command: c, Call: call, stack: stack, table: stack.Table(), routes: routes,
		outputs:    media.Folder{Bucket: stack.Outputs.Bucket, Prefix: settings.OutputPrefix},
		list:       lister{s3: stack.S3(), bucket: stack.Outputs.Bucket},
		dispatcher: stack.Dispatcher(c.rate),
	}
	if b.list.prefixes, err = c.scope(b.outputs.Bucket, routes); err != nil {
		return nil, err
	}
	if b.checkpoint, err = b.resume(ctx, within); err != nil {
		return nil, err
	}
	b.tally, b.earlier = b.Tally.clone(), b.Tally.Objects
	b.list.versioned, err = b.list.versioning(ctx)
	return b, err
}

// run counts, asks and sends.
func (b *backfill) run(ctx context.Context) error {
	b.began, b.progress = time.Now(), b.Progress()
	defer b.progress.End()
	p, err := b.count(ctx)
	b.progress.End()
	if err != nil {
		return err
	}
	if err := b.tell(ctx, p); err != nil {
		return err
	}
	if p.Sent == 0 {
		b.tally.add(p.tally)
		return b.end(ctx, nil)
	}
	if !b.DryRun {
		if err := b.Confirm(ctx, fmt.Sprintf("Hand up to %s to dispatch?", cli.Count(p.Sent, "object"))); err != nil {
			return err
		}
	}
	err = b.send(ctx, p)
	b.progress.End()
	return b.end(ctx, err)
}
