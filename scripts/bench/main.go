// Command bench measures the project: how its functions start, what an
// invocation takes and calls, how the local run grows, what is in the zips, how
// long builds and previews take, and what a million uploads cost. Figures are
// compared within one run only: machines differ, and are noisy.
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

const usage = `Measure the project, each figure beside what it is compared with.

  go run ./scripts/bench [-part NAME,…] [-runs N] [-json]
  go run ./scripts/bench -check

Every part alternates what it compares, so that what else the machine does falls
on all of it, and reports medians with the spread between the tenth and the
ninetieth percentile. The exit code is 1 when a limit is missed, 2 when the
command line is wrong. -check takes the parts whose limits mean the same on every
machine: calls, sizes and allocations.

Parts:
`

// part is something that can be measured on its own.
type part struct {
	name, what string
	check      bool // its limits mean the same on every machine
	measure    func(*bench, context.Context) error
}

var parts = []part{
	{"cold", "from the start of a process to its first answer, beside an empty handler, by CPU share; memory", false, (*bench).cold},
	{"init", "which packages take the time before main", true, (*bench).initialise},
	{"warm", "dispatch and webhook at work, by jobs and latency", false, (*bench).warm},
	{"calls", "requests to AWS and Ittybit for each invocation", true, (*bench).calls},
	{"decode", "time and allocations of what every event goes through", true, (*bench).decode},
	{"throughput", "the local run with 100 to 10,000 uploads, and its memory", false, (*bench).throughput},
	{"size", "zips and binaries, and what is in them", true, (*bench).size},
	{"build", "the zips when nothing changed, when one handler did, and from nothing", false, (*bench).build},
	{"preview", "pulumi preview of unchanged code beside an empty program, where the engine is", false, (*bench).preview},
	{"cost", "dollars for a million uploads, from what is measured", false, (*bench).cost},
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
		fmt.Fprintf(stderr, "bench: %v\nbench -h says how it is used\n", err)
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
	flags.StringVar(&names, "part", "", "measure only these parts; `names` separated by commas")
	flags.IntVar(&c.runs, "runs", 0, "how `often` to measure; 0: as each part needs")
	flags.BoolVar(&c.json, "json", false, "print nothing to standard output but the figures, one JSON object a line")
	flags.BoolVar(&check, "check", false, "measure only what has limits that mean the same on every machine")
	flags.IntVar(&c.uploads, "uploads", 0, "take this many uploads through the local run, once, and print what it took")
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
		return c, fmt.Errorf("%q is no flag; -part names what to measure", flags.Arg(0))
	case c.runs < 0 || c.uploads < 0:
		return c, errors.New("-runs and -uploads are not negative")
	case check && names != "":
		return c, errors.New("-check measures what it measures; it does not go with -part")
	}
	c.parts, err = choose(names, check)
	return c, err
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
		return nil, fmt.Errorf("there is no part %q; -h lists them", wanted[0])
	}
	if len(chosen) == 0 {
		return nil, errors.New("-part names no part")
	}
	return chosen, nil
}

// bench is one run of the command.
type bench struct {
	command
	root   string // the folder with go.mod
	stderr io.Writer

	binaries map[string]string // of the functions; nil until a part needs them
	figures  []Figure
	present  string // the part that is being measured
}

func (c command) run(ctx context.Context, stdout, stderr io.Writer) error {
	root, err := bundle.FindRoot()
	if err != nil {
		return err
	}
	b := &bench{command: c, root: root, stderr: stderr}
	if c.uploads > 0 {
		took, err := b.takeThrough(ctx, c.uploads)
		if err != nil {
			return err
		}
		return json.NewEncoder(stdout).Encode(took)
	}
	for _, p := range c.parts {
		fmt.Fprintf(stderr, "measuring %s: %s\n", p.name, p.what)
		b.present = p.name
		begin := len(b.figures)
		if err := p.measure(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := print(stdout, b.figures[begin:], c.json); err != nil {
			return err
		}
	}
	return missed(b.figures)
}

// often is how often to measure, unless the command line says it.
func (b *bench) often(runs int) int {
	if b.runs > 0 {
		return b.runs
	}
	return runs
}

// note says how something was measured, or why not.
func (b *bench) note(format string, args ...any) {
	fmt.Fprintf(b.stderr, "  "+format+"\n", args...)
}

func print(out io.Writer, figures []Figure, asJSON bool) error {
	if !asJSON {
		return table(out, figures)
	}
	for _, f := range figures {
		if err := json.NewEncoder(out).Encode(f); err != nil {
			return err
		}
	}
	return nil
}
