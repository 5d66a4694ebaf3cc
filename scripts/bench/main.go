// Command bench measures latency and cost, and checks their limits.
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

const usageText = `Measure latency and cost, each figure compared with a baseline.

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
	names := flags.String("part", "", "measure only these parts, `names` separated by commas")
	flags.IntVar(&c.runs, "runs", 0, "measure so `often`; 0: as each part needs")
	check := flags.Bool("check", false, "measure only the parts whose limits hold on every machine")
	flags.IntVar(&c.uploads, "uploads", 0, "run this many uploads through one local pipeline and print its load as JSON")
	return func(ctx context.Context, call *cli.Call) (err error) {
		c.Call = call
		switch {
		case len(c.Args) > 0:
			return cli.Usagef("unexpected argument %q: choose parts with -part", c.Args[0])
		case c.runs < 0 || c.uploads < 0:
			return cli.Usagef("-runs and -uploads must not be negative")
		case *check && *names != "":
			return cli.Usagef("-check chooses the parts: pass it without -part")
		}
		if c.parts, err = choose(*names, *check); err != nil {
			return err
		}
		if err := c.run(ctx); err != nil {
			return cmp.Or(ctx.Err(), err)
		}
		return nil
	}
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
		return nil, cli.Usagef("invalid -part %q: use %s", wanted[0], partNames())
	}
	if len(chosen) == 0 {
		return nil, cli.Usagef("-part is empty: use %s", partNames())
	}
	return chosen, nil
}

// bench is one run of the command.
type bench struct {
	command
	root     string            // the folder with go.mod
	binaries map[string]string // of the functions; nil until a part needs them
}

func (c command) run(ctx context.Context) error {
	root, err := bundle.FindRoot()
	if err != nil {
		return err
	}
	b := &bench{command: c, root: root}
	if c.uploads > 0 {
		l, err := b.load(ctx, c.uploads)
		if err != nil {
			return err
		}
		return c.PrintJSON(l)
	}
	var errs error
	for _, p := range c.parts {
		c.Note("measuring %s: %s", p.name, p.what)
		measured, err := p.measure(b, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		for i := range measured {
			measured[i].Part = p.name
		}
		if err := measured.print(c.Call); err != nil {
			return err
		}
		errs = errors.Join(errs, measured.missed())
	}
	return errs
}

// note says how something was measured, or why not.
func (b *bench) note(format string, args ...any) {
	b.Note("  "+format, args...)
}
