// Package operator is what the scripts for operators share: the command line,
// the way to a deployed stack or a local run, progress, questions, and errors
// that say what to do.
package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"ittybit-media/scripts/process"
	"ittybit-media/scripts/version"
)

// The exit codes of every script.
const (
	ExitOK     = process.OK
	ExitFailed = process.Failed
	ExitUsage  = process.Usage
)

// Script is one of the scripts.
type Script struct {
	Name string
	// Usage is what -h prints before the flags: what it is for, how it is called,
	// and examples.
	Usage string
	// Flags declares the script's own flags and returns what runs it. The
	// arguments after the flags are in Call.Args.
	Flags func(*flag.FlagSet) func(context.Context, *Call) error
	// Changes tells that it changes something, so that it has -dry-run and -yes.
	Changes bool
}

// Call is one call of a script.
type Call struct {
	Target
	Args   []string
	JSON   bool
	DryRun bool
	yes    bool

	In       io.Reader
	Out, Err io.Writer
}

// Target says which stack a script works on.
type Target struct {
	Stack string
	Local string // file of a local run; "": the stack is on AWS
	Root  string // the module's folder; "": the one that the working folder is in
}

// Main runs a script as a process does, until it ends or is interrupted.
func Main(s Script) {
	process.Main(func(ctx context.Context) int { return s.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr) })
}

// Run runs a script and returns its exit code. When ctx ends, the script ends
// what it has begun, so that nothing is left half done.
func (s Script) Run(ctx context.Context, args []string, in io.Reader, out, errout io.Writer) int {
	c := &Call{In: in, Out: out, Err: errout}
	run, err := s.parse(c, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return ExitOK
	case err != nil:
		fmt.Fprintf(errout, "%s: %v\ngo run ./scripts/%s -h says how it is used\n", s.Name, err, s.Name)
		return ExitUsage
	}
	err = run(ctx, c)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(errInterrupted, ignoreCanceled(err))
	}
	if err == nil {
		return ExitOK
	}
	fmt.Fprintf(errout, "%s: %v\n", s.Name, Explain(err))
	if _, ok := errors.AsType[usageError](err); ok {
		return ExitUsage
	}
	return ExitFailed
}

var errInterrupted = errors.New("interrupted")

// ignoreCanceled keeps of an error after an interruption what the interruption
// does not explain.
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

func (s Script) parse(c *Call, args []string) (func(context.Context, *Call) error, error) {
	flags := flag.NewFlagSet(s.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.Stack, "stack", "dev", "the `STACK` to work on")
	flags.Var(localFlag{&c.Local}, "local", "work on the local run (go run ./scripts/local) instead of AWS; -local=`FILE` on the one that wrote that file")
	flags.BoolVar(&c.JSON, "json", false, "print nothing to standard output but JSON, one object a line")
	if s.Changes {
		flags.BoolVar(&c.DryRun, "dry-run", false, "say what would be done and do nothing")
		flags.BoolVar(&c.yes, "yes", false, "do it without asking")
	}
	tell := flags.Bool("version", false, "say which version this is")
	run := s.Flags(flags)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(c.Err, "%s\n\nFlags:\n", strings.TrimRight(s.Usage, "\n"))
		flags.SetOutput(c.Err)
		flags.PrintDefaults()
	}
	if err == nil && *tell {
		run = func(context.Context, *Call) error {
			_, err := fmt.Fprintln(c.Out, version.Line())
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

// localFlag is a flag that may have a value: -local or -local=FILE.
type localFlag struct{ file *string }

// defaultLocal stands for the file that a local run of this module writes.
const defaultLocal = "true"

func (f localFlag) String() string     { return "" }
func (f localFlag) IsBoolFlag() bool   { return true }
func (f localFlag) Set(s string) error { *f.file = s; return nil }

// usageError is what the caller can put right in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usagef is an error of the command line or of a file that it names: the script
// ends with [ExitUsage].
func Usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// Confirm asks before something that costs or cannot be undone, unless -yes was
// said. Without a terminal to ask at, it fails and says that -yes is needed. It
// returns early with ctx's error when ctx ends.
func (c *Call) Confirm(ctx context.Context, question string) error {
	if c.yes {
		return nil
	}
	if !isTerminal(c.In) {
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

// Asks reports whether [Call.Confirm] asks: whoever was told -yes need not count
// first what the question is about.
func (c *Call) Asks() bool { return !c.yes }

// Note prints a line for people to standard error: what is no result.
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
