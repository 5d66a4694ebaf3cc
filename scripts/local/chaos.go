package main

import (
	"cmp"
	"context"
	"errors"
	"runtime/debug"

	"ittybit-media/scripts/local/chaos"
)

// runChaos makes the chaos run and prints its report.
func (c command) runChaos(ctx context.Context, root string) error {
	binaries, err := c.compile(ctx, root)
	if err != nil {
		return err
	}
	debug.SetGCPercent(20) // there is time: most of it is waiting
	report, err := chaos.Run(ctx, chaos.Options{
		Binaries: binaries, Uploads: c.count, Seed: c.seed,
		Progress: func(text string) { c.Note("%s", text) },
	})
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if c.JSON {
		if err := c.PrintJSON(report); err != nil {
			return err
		}
	} else {
		report.Print(c.Out)
	}
	if !report.OK() {
		return errors.New("the pipeline did not keep its promises; the report says which")
	}
	return nil
}
