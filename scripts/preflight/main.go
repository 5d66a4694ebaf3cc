// Command preflight checks, before the first `pulumi up` of a stack, everything
// that it needs.
package main

import (
	"context"
	"flag"
	"fmt"

	"ittybit-media/infra/bundle"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

const usage = `Look at everything that a stack needs, before its first pulumi up.

  go run ./scripts/preflight [flags]                      look, and say what is to be mended and how
  go run ./scripts/preflight -enable-eventbridge [flags]  have an existing bucket tell EventBridge of its uploads

Looked at are the stack file Pulumi.STACK.yaml with all of its mistakes, Go and
Pulumi, the AWS credentials and the region, an existing bucket and what up would
delete of its notifications, the secrets and the event bus that the file names,
Ittybit itself, and the account's quotas. Each line begins with

  ok    it is as it should be
  fix   up would fail, or uploads would not be processed; → says how to mend it
  warn  it may be a mistake, or cannot be known with these credentials
  skip  it was not looked at, and why

Nothing is changed, and no secret is shown: of a key, only its length.

With "manageNotifications: false" in the stack file, the stack leaves the
notifications of its bucket alone. -enable-eventbridge then turns EventBridge on:
it adds this to what the bucket has and keeps the rest, leaves the configuration
as it was in a file, asks before it writes, and reads the result. On a bucket
that has it already, it changes nothing.

  go run ./scripts/preflight
  go run ./scripts/preflight -stack prod
  go run ./scripts/preflight -stack prod -json
  go run ./scripts/preflight -stack prod -enable-eventbridge -dry-run
  go run ./scripts/preflight -stack prod -enable-eventbridge
  go run ./scripts/preflight -local

-local looks at a local run: its bucket, its key and its Ittybit take the place
of those in the stack file.

The exit code is 0 when there is nothing to fix, 1 when there is or something
failed, 2 when the command line is wrong.
`

// script looks at the module in the folder that root finds.
func script(root func() (string, error)) cli.Command {
	return operator.Command("preflight", usage, func(flags *flag.FlagSet) func(context.Context, *operator.Call) error {
		enable := flags.Bool("enable-eventbridge", false, "have the stack file's bucket tell EventBridge of its uploads")
		return func(ctx context.Context, call *operator.Call) error {
			if len(call.Args) > 0 {
				return cli.Usagef("%q is too much: preflight takes flags only", call.Args[0])
			}
			var err error
			if call.Root, err = root(); err != nil {
				return cli.Usagef("%w", err)
			}
			s, err := open(ctx, call)
			if err != nil {
				return err
			}
			if *enable {
				return s.enableEventBridge(ctx)
			}
			return s.look(ctx)
		}
	})
}

// look makes all checks, and fails when there is something to fix.
func (s *subject) look(ctx context.Context) error {
	toFix, err := s.report(ctx, []check{
		{"stack file", s.stackFile},
		{"go", s.goTool},
		{"pulumi", s.pulumi},
		{"pulumi login", s.login},
		{"credentials", s.credentials},
		{"region", s.inRegion},
		{"deployed", s.isDeployed},
		{"bucket", s.bucket},
		{"notifications", s.notifications},
		{"api key", s.apiKey},
		{"webhook secret", s.webhookSecret},
		{"ittybit", s.ittybit},
		{"connection", s.connection},
		{"event bus", s.eventBus},
		{"concurrency", s.concurrency},
	})
	switch {
	case err != nil:
		return err
	case toFix > 0:
		return fmt.Errorf("to be fixed: %d", toFix)
	}
	s.call.Say("Nothing is to be fixed.")
	return nil
}

func main() { cli.Main(script(bundle.FindRoot)) }
