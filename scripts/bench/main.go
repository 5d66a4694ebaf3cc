// Command bench measures latency and cost: how long the functions take to start
// and to answer, what an invocation calls and allocates, how large the zips are,
// how the local pipeline scales, how long a preview takes, and what a million
// uploads cost. Figures are compared within one run only: machines differ, and
// are noisy.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"ittybit-media/infra/bundle"
	"ittybit-media/scripts/process"
)

const usage = `Measure latency and cost, each figure compared with a baseline.

  go run ./scripts/bench [-part NAME,…] [-runs N] [-json]
  go run ./scripts/bench -check

Every part alternates what it compares, so that noise of the machine falls on
both, and reports medians with the spread from the tenth to the ninetieth
percentile. -check measures the parts whose limits hold on every machine: calls,
allocations and size.

Exit codes: 0, 1 when a limit is missed or a part fails, 2 for a usage error.

Parts:
`

// part is something that can be measured on its own.
type part struct {
	name, what string
	check      bool // its limits hold on every machine
	measure    func(*bench, context.Context) (figures, error)
}

var parts = []part{
	{"cold", "start, first answer and memory of a function, compared with an empty handler", false, (*bench).cold},
	{"warm", "dispatch and webhook once they run, by number of jobs", false, (*bench).warm},
	{"calls", "calls to AWS and Ittybit of each invocation", true, (*bench).calls},
	{"allocations", "allocations before main and of decoding an event", true, (*bench).allocations},
	{"throughput", "the local pipeline with 100 to 10,000 uploads, and its memory", false, (*bench).throughput},
	{"size", "the zips", true, (*bench).size},
	{"preview", "pulumi preview of unchanged code, compared with an empty program", false, (*bench).preview},
	{"cost", "dollars for a million uploads", false, (*bench).cost},
}

func main() {
	process.Main(func(ctx context.Context) int { return run(ctx, os.Args[1:], os.Stdout, os.Stderr) })
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return process.OK
	case err != nil:
		fmt.Fprintf(stderr, "bench: %v\nRun bench -h for usage\n", err)
		return process.Usage
	}
	if err := c.run(ctx, stdout, stderr); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return process.Failed
	}
	return process.OK
}

// command is what the command line says.
type command struct {
	parts   []part
	runs    int // 0: as many as each part needs
	json    bool
	uploads int // 0: not a single run of the throughput part
}

func parse(args []string, stderr io.Writer) (command, error) {
	var c command
	var names string
	var check bool
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&names, "part", "", "measure only these parts, `names` separated by commas")
	flags.IntVar(&c.runs, "runs", 0, "measure so `often`; 0: as each part needs")
	flags.BoolVar(&c.json, "json", false, "print one JSON object for each figure")
	flags.BoolVar(&check, "check", false, "measure only the parts whose limits hold on every machine")
	flags.IntVar(&c.uploads, "uploads", 0, "run this many uploads through one local pipeline and print its load as JSON")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, usage)
		for _, p := range parts {
			fmt.Fprintf(stderr, "  %-11s %s\n", p.name, p.what)
		}
		fmt.Fprint(stderr, "\nFlags:\n")
		flags.SetOutput(stderr)
		flags.PrintDefaults()
	}
	switch {
	case err != nil:
		return c, err
	case flags.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q: choose parts with -part", flags.Arg(0))
	case c.runs < 0 || c.uploads < 0:
		return c, errors.New("-runs and -uploads must not be negative")
	case check && names != "":
		return c, errors.New("-check chooses the parts: pass it without -part")
	}
	c.parts, err = choose(names, check)
	return c, err
}

func partNames() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

// choose returns the parts of those names, or all.
func choose(names string, check bool) ([]part, error) {
	var chosen []part
	wanted := strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' })
	for _, p := range parts {
		if i := slices.Index(wanted, p.name); i >= 0 {
			wanted = slices.Delete(wanted, i, i+1)
		} else if names != "" || check && !p.check {
			continue
		}
		chosen = append(chosen, p)
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("invalid -part %q: use %s", wanted[0], partNames())
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-part is empty: use %s", partNames())
	}
	return chosen, nil
}

// bench is one run of the command.
type bench struct {
	command
	root     string // the folder with go.mod
	stderr   io.Writer
	binaries map[string]string // of the functions; nil until a part needs them
}

func (c command) run(ctx context.Context, stdout, stderr io.Writer) error {
	root, err := bundle.FindRoot()
	if err != nil {
		return err
	}
	b := &bench{command: c, root: root, stderr: stderr}
	if c.uploads > 0 {
		l, err := b.load(ctx, c.uploads)
		if err != nil {
			return err
		}
		return json.NewEncoder(stdout).Encode(l)
	}
	var errs error
	for _, p := range c.parts {
		fmt.Fprintf(stderr, "measuring %s: %s\n", p.name, p.what)
		measured, err := p.measure(b, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		for i := range measured {
			measured[i].Part = p.name
		}
		if err := measured.print(stdout, c.json); err != nil {
			return err
		}
		errs = errors.Join(errs, measured.missed())
	}
	return errs
}

// note says how something was measured, or why not.
func (b *bench) note(format string, args ...any) {
	fmt.Fprintf(b.stderr, "  "+format+"\n", args...)
}
