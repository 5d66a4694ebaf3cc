// Command redrive shows the messages in the dead-letter queue and sends them
// back to dispatch.
package main

import (
	"cmp"
	"context"
	"flag"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

const usage = `What is in the dead letters, and back to dispatch with it.

  go run ./scripts/redrive [flags]                    show them, grouped by reason
  go run ./scripts/redrive -send [flags]              send them back to dispatch
  go run ./scripts/redrive -delete-unreadable [flags] delete those that nobody can read

An upload becomes a dead letter when dispatch failed at it for 3 days, every 15
minutes. The reason is that of the first failure: mend it first, or they come
back in 3 days. SQS deletes a dead letter 14 days after that first failure, for
good. SQS cannot list: a look hides the messages, and shows them again in the end,
also after Ctrl-C; a run that was killed hides them for as long as it said.

-send asks first; -dry-run only shows. Each upload is handed to dispatch, which
makes the jobs that are not there yet, with Ittybit's charge, and then deleted.
Stopped and started again, it makes nothing twice. What cannot be read stays.

  go run ./scripts/redrive -stack prod
  go run ./scripts/redrive -stack prod -key 'uploads/2026/' -json
  go run ./scripts/redrive -stack prod -send -reason 'HTTP 503'
  go run ./scripts/redrive -stack prod -send -older 72h -limit 100 -rate 1
  go run ./scripts/redrive -local -send -yes

The exit code is 0 when it is done; 1 when something failed, or some of what was
to be sent cannot be read; 2 when the command line is wrong.
`

var script = operator.Command("redrive", usage, declare)

func main() { cli.Main(script) }

// command is what the command line says.
type command struct {
	filter
	limit  int // 0: none
	send   bool
	rate   float64
	delete bool
}

func declare(flags *flag.FlagSet) func(context.Context, *operator.Call) error {
	var c command
	flags.StringVar(&c.reason, "reason", "", "only those whose reason has this `TEXT`, whatever the case")
	flags.StringVar(&c.prefix, "key", "", "only keys that begin with `PREFIX`")
	flags.DurationVar(&c.Older, "older", 0, "only those that failed first longer ago than `TIME`, such as 72h")
	flags.DurationVar(&c.Newer, "newer", 0, "only those that failed first within `TIME`")
	flags.IntVar(&c.limit, "limit", 0, "at most `N` of them; 0: all")
	flags.BoolVar(&c.send, "send", false, "send them back to dispatch")
	flags.Float64Var(&c.rate, "rate", 5, "at most `N` uploads a second are handed to dispatch by -send")
	flags.BoolVar(&c.delete, "delete-unreadable", false, "delete those that cannot be read")
	return func(ctx context.Context, call *operator.Call) error {
		switch {
		case len(call.Args) > 0:
			return cli.Usagef("%q is no flag: -key says which keys", cli.Printable(call.Args[0]))
		case c.send && c.delete:
			return cli.Usagef("-send and -delete-unreadable do not go together")
		}
		if err := cmp.Or(cli.CheckRate(c.rate), cli.CheckLimit(c.limit), c.Ages.Check()); err != nil {
			return err
		}
		stack, err := call.Connect(ctx)
		if err != nil {
			return err
		}
		return (&redrive{command: c, Call: call, stack: stack, sqs: stack.SQS(), url: stack.Outputs.DeadLetterQueueURL}).run(ctx)
	}
}

// redrive is one call of the script.
type redrive struct {
	command
	*operator.Call
	stack *operator.Stack
	sqs   *sqs.Client
	url   string // of the dead letters
}

func (r *redrive) run(ctx context.Context) error {
	switch {
	case r.send:
		return r.sendBack(ctx)
	case r.delete:
		return r.deleteUnreadable(ctx)
	}
	return r.show(ctx)
}

// filter says which dead letters are wanted; its zero value takes all.
type filter struct {
	cli.Ages // since the first failure

	reason string
	prefix string
}
