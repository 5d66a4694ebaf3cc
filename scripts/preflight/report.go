package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ittybit-media/scripts/internal/cli"
)

// patience is how long one check may take: fetching a Go toolchain is the
// longest that one does.
var patience = 2 * time.Minute

// errPatience is why a check was cut short.
var errPatience = errors.New("there was no answer in time")

// status is how something stands.
type status string

const (
	ok   status = "ok"
	fix  status = "fix"  // up would fail, or uploads would not be processed
	warn status = "warn" // it may be a mistake, or cannot be known
	skip status = "skip" // it was not looked at
)

// finding is one thing that a check found.
type finding struct {
	Check  string `json:"check"`
	Status status `json:"status"`
	Detail string `json:"detail"`
	How    string `json:"how"` // to mend it; "" where there is nothing to mend
}

// check looks at one thing.
type check struct {
	name string
	look func(context.Context) []finding
}

func good(format string, args ...any) []finding {
	return []finding{{Status: ok, Detail: fmt.Sprintf(format, args...)}}
}

func bad(how, format string, args ...any) []finding {
	return []finding{{Status: fix, Detail: fmt.Sprintf(format, args...), How: how}}
}

func doubtful(how, format string, args ...any) []finding {
	return []finding{{Status: warn, Detail: fmt.Sprintf(format, args...), How: how}}
}

func skipped(format string, args ...any) []finding {
	return []finding{{Status: skip, Detail: fmt.Sprintf(format, args...)}}
}

// report makes the checks, all at once, and prints what they find, in their
// order. It returns how much there is to fix.
func (s *subject) report(ctx context.Context, checks []check) (toFix int, err error) {
	width := 0
	found := make([]chan []finding, len(checks))
	for i, c := range checks {
		width = max(width, len(c.name))
		found[i] = make(chan []finding, 1)
		go func() {
			ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
			defer cancel()
			found[i] <- c.look(ctx)
		}()
	}
	for i, c := range checks {
		findings := <-found[i]
		if ctx.Err() != nil { // it may be all that the check has found
			return 0, ctx.Err()
		}
		for _, f := range findings {
			f.Check, f.Detail, f.How = c.name, cli.OneLine(f.Detail), cli.OneLine(f.How)
			if f.Status == fix {
				toFix++
			}
			if err := s.print(f, width); err != nil {
				return 0, err
			}
		}
	}
	return toFix, nil
}

func (s *subject) print(f finding, width int) error {
	if s.call.JSON {
		return s.call.PrintJSON(f)
	}
	line := fmt.Sprintf("%-4s  %-*s  %s", f.Status, width, f.Check, f.Detail)
	if f.How != "" {
		line += " → " + f.How
	}
	_, err := fmt.Fprintln(s.call.Out, line)
	return err
}
