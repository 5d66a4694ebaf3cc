// Command bench measures the project's latency, throughput, sizes and cost, and
// checks their limits.
//
// Figures are compared within one run only: machines differ, and are noisy.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"ittybit-media/infra/bundle"
	"ittybit-media/scripts/internal/cli"
)

const usageText = `Measure the project, each figure beside what it is compared with.

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

// usage returns what -h prints before the flags.
func usage() string {
	var text strings.Builder
	text.WriteString(usageText)
	for _, p := range parts {
		fmt.Fprintf(&text, "  %-11s %s\n", p.name, p.what)
	}
	return text.String()
}

var script = cli.Command{Name: "bench", Usage: usage(), Flags: declare}

func main() { cli.Main(script) }

// command is what the command line says.
type command struct {
	*cli.Call
	parts   []part
	runs    int // 0: as many as each part needs
	uploads int // 0: not a single run of the throughput part
}

func declare(flags *flag.FlagSet) func(context.Context, *cli.Call) error {
	var c command
	names := flags.String("part", "", "measure only these parts; `names` separated by commas")
	flags.IntVar(&c.runs, "runs", 0, "how `often` to measure; 0: as each part needs")
	check := flags.Bool("check", false, "measure only what has limits that mean the same on every machine")
	flags.IntVar(&c.uploads, "uploads", 0, "take this many uploads through the local run, once, and print what it took")
	return func(ctx context.Context, call *cli.Call) (err error) {
		c.Call = call
		switch {
		case len(c.Args) > 0:
			return cli.Usagef("%q is no flag; -part names what to measure", c.Args[0])
		case c.runs < 0 || c.uploads < 0:
			return cli.Usagef("-runs and -uploads are not negative")
		case *check && *names != "":
			return cli.Usagef("-check measures what it measures; it does not go with -part")
		}
		if c.parts, err = choose(*names, *check); err != nil {
			return cli.Usagef("%w", err)
		}
		if err := c.run(ctx); err != nil {
			return cmp.Or(ctx.Err(), err)
		}
		return nil
	}
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
	root string // the folder with go.mod

	binaries map[string]string // of the functions; nil until a part needs them
	figures  []Figure
	present  string // the part that is being measured
}

func (c command) run(ctx context.Context) error {
	root, err := bundle.FindRoot()
	if err != nil {
		return err
	}
	b := &bench{command: c, root: root}
	if c.uploads > 0 {
		took, err := b.takeThrough(ctx, c.uploads)
		if err != nil {
			return err
		}
		return c.PrintJSON(took)
	}
	for _, p := range c.parts {
		c.Note("measuring %s: %s", p.name, p.what)
		b.present = p.name
		begin := len(b.figures)
		if err := p.measure(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := b.print(b.figures[begin:]); err != nil {
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
	b.Note("  "+format, args...)
}

// print prints the figures, as JSON or for people.
func (b *bench) print(figures []Figure) error {
	if !b.JSON {
		return table(b.Out, figures)
	}
	for _, f := range figures {
		if err := b.PrintJSON(f); err != nil {
			return err
		}
	}
	return nil
}
