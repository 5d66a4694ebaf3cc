package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"ittybit-media/scripts/local/chaos"
)

// runChaos makes the chaos run and prints its report.
func (c command) runChaos(ctx context.Context, root string, stdout, stderr io.Writer) error {
	binaries, err := compile(ctx, root, stderr)
	if err != nil {
		return err
	}
	debug.SetGCPercent(20) // there is time: most of it is waiting
	report, err := chaos.Run(ctx, chaos.Options{
		Binaries: binaries, Uploads: c.count, Seed: c.seed,
		Progress: func(text string) { fmt.Fprintln(stderr, text) },
	})
	if err != nil {
		return interrupted(ctx, err)
	}
	if c.json {
		if err := json.NewEncoder(stdout).Encode(report); err != nil {
			return err
		}
	} else {
		report.Print(stdout)
	}
	if !report.OK() {
		return errors.New("the pipeline did not keep its promises; the report says which")
	}
	return nil
}
