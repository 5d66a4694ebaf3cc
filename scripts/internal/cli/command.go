// Package cli is the one shape of every command: flags, exit codes, usage
// errors, signals, the version line, questions, progress and tables.
package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"ittybit-media/handlers/media"
)

// The exit codes of every command.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// Command is one of the commands.
type Command struct {
	Name string
	// Usage is what -h prints before the flags: what the command is for, how it is
	// called, exit codes and examples.
	Usage string
	// Flags declares the command's own flags and returns what runs it. The
	// arguments after the flags are in Call.Args.
	Flags func(*flag.FlagSet) func(context.Context, *Call) error
	// Changes adds -dry-run and -yes, for a command that changes something.
	Changes bool
	// Explain adds to an error what the caller can do about it; nil: nothing.
	Explain func(error) error
	// Now is the clock by which the command tells ages; nil: the wall clock.
	// Pauses and rates always follow the wall clock.
	Now func() time.Time
}

// Call is one call of a command.
type Call struct {
	Args   []string
	JSON   bool
	DryRun bool
	Now    func() time.Time // see [Command.Now]
	yes    bool

	In       io.Reader
	Out, Err io.Writer
}

// Main runs a command as a process does and exits with its code. The context of
// the run ends when the process is interrupted or told to end.
func Main(cmd Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := cmd.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run runs a command and returns its exit code. When ctx ends, the command
// finishes what it has begun, so that nothing is left half done.
func (cmd Command) Run(ctx context.Context, args []string, in io.Reader, out, errout io.Writer) int {
	c := &Call{In: in, Out: out, Err: errout, Now: cmd.Now}
	if c.Now == nil {
		c.Now = time.Now
	}
	run, err := cmd.parse(c, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return ExitOK
	case err != nil:
		fmt.Fprintf(errout, "%s: %v\ngo run ./scripts/%s -h says how it is used\n", cmd.Name, err, cmd.Name)
		return ExitUsage
	}
	err = run(ctx, c)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(errInterrupted, ignoreCanceled(err))
	}
	if err == nil {
		return ExitOK
	}
	_, usage := errors.AsType[usageError](err)
	if cmd.Explain != nil {
		err = cmd.Explain(err)
	}
	fmt.Fprintf(errout, "%s: %s\n", cmd.Name, media.Mask(err.Error()))
	if usage {
		return ExitUsage
	}
	return ExitFailed
}

var errInterrupted = errors.New("interrupted")

// ignoreCanceled returns what an interruption does not explain of an error that
// came after it; nil when it explains all.
func ignoreCanceled(err error) error {
	if !errors.Is(err, context.Canceled) {
		return err
	}
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var rest []error
	for _, err := range several.Unwrap() {
		rest = append(rest, ignoreCanceled(err))
	}
	return errors.Join(rest...)
}

func (cmd Command) parse(c *Call, args []string) (func(context.Context, *Call) error, error) {
	flags := flag.NewFlagSet(cmd.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&c.JSON, "json", false, "print nothing to standard output but JSON, one object a line")
	if cmd.Changes {
		flags.BoolVar(&c.DryRun, "dry-run", false, "say what would be done and do nothing")
		flags.BoolVar(&c.yes, "yes", false, "do it without asking")
	}
	tell := flags.Bool("version", false, "say which version this is")
	run := cmd.Flags(flags)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(c.Err, "%s\n\nFlags:\n", strings.TrimRight(cmd.Usage, "\n"))
		flags.SetOutput(c.Err)
		flags.PrintDefaults()
	}
	if err == nil && *tell {
		run = func(context.Context, *Call) error {
			_, err := fmt.Fprintln(c.Out, version())
			return err
		}
	}
	c.Args = flags.Args()
	for _, arg := range c.Args {
		if strings.HasPrefix(arg, "-") && flags.Lookup(strings.TrimLeft(arg, "-")) != nil {
			return nil, fmt.Errorf("%s comes too late: flags go before the arguments", arg)
		}
	}
	return run, err
}

// usageError is what the caller can put right in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usagef returns an error of the command line or of a file that it names: the
// command ends with [ExitUsage].
func Usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// Confirm asks before something that costs or cannot be undone, unless -yes was
// given. Without a terminal to ask at, it fails and says that -yes is needed.
// It returns early with ctx's error when ctx ends.
func (c *Call) Confirm(ctx context.Context, question string) error {
	if c.yes {
		return nil
	}
	if terminal(c.In) == nil {
		return Usagef("%s: there is no terminal to answer at; -yes does it without asking, -dry-run only looks", question)
	}
	fmt.Fprintf(c.Err, "%s [y/N] ", question)
	answered := make(chan string, 1)
	go func() { // nothing else ends a read of a terminal
		var answer string
		if _, err := fmt.Fscanln(c.In, &answer); err != nil {
			answer = ""
		}
		answered <- strings.ToLower(answer)
	}()
	select {
	case answer := <-answered:
		if answer == "y" || answer == "yes" {
			return nil
		}
		return errors.New("not confirmed; nothing was done")
	case <-ctx.Done():
		fmt.Fprintln(c.Err)
		return ctx.Err()
	}
}

// Asks reports whether [Call.Confirm] asks. When it does not, because of -yes,
// there is no need to count first what the question is about.
func (c *Call) Asks() bool { return !c.yes }

// Note prints a line for people to standard error: what is not a result.
func (c *Call) Note(format string, args ...any) { fmt.Fprintf(c.Err, format+"\n", args...) }

// Say prints a line for people, which goes to standard error where -json keeps
// standard output for JSON.
func (c *Call) Say(format string, args ...any) {
	to := c.Out
	if c.JSON {
		to = c.Err
	}
	fmt.Fprintf(to, format+"\n", args...)
}

// PrintJSON prints a value as one line of JSON.
func (c *Call) PrintJSON(v any) error {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := c.Out.Write(line.Bytes())
	return err
}
