package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
)

// The table is read for some objects ahead of those that are sent, for several
// at once.
const (
	lookAhead = 100
	lookups   = 10
)

// errEnough says that as many objects were sent as -limit wants.
var errEnough = errors.New("enough")

// candidate is an entry with what is known of its jobs.
type candidate struct {
	entry
	route media.Route
	skip  string   // why it is not sent
	jobs  []string // that the table lacks
}

// send sends what the table lacks, in the bucket's order. It returns
// [errEnough] when that is the reason why it ended.
func (b *backfill) send(ctx context.Context, p plan) error {
	if err := b.save(); err != nil { // before anything is done
		return err
	}
	b.began = time.Now()
	brakes := brakes{backfill: b}
	err := b.each(ctx, func(c candidate) error {
		if c.skip != "" {
			b.tally.skip(c.skip)
		} else if err := b.one(ctx, &brakes, c); err != nil {
			return err
		}
		b.progress.Show(func() string { return b.line(p) })
		if c.last {
			return b.pass(c.upload.Key)
		}
		return nil
	})
	return errors.Join(err, b.save())
}

// each does something with one entry of the bucket after the other.
func (b *backfill) each(ctx context.Context, do func(candidate) error) error {
	for entries, err := range b.list.pages(ctx, b.After) {
		if err != nil {
			return err
		}
		for ahead := range slices.Chunk(entries, lookAhead) {
			candidates, err := b.look(ctx, ahead)
			if err != nil {
				return err
			}
			for _, c := range candidates {
				if err := do(c); err != nil {
					return err
				}
			}
		}
		if err := b.save(); err != nil {
			return err
		}
	}
	return nil
}

// look finds out which jobs the table lacks. A row that a callback made, before
// dispatch could note what it knows of the upload, counts as lacking: dispatch
// completes it.
func (b *backfill) look(ctx context.Context, entries []entry) ([]candidate, error) {
	candidates := make([]candidate, len(entries))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for i, e := range entries {
		c := &candidates[i]
		c.entry = e
		if c.route, c.skip = b.route(e); c.skip != "" {
			continue
		}
		g.Go(func() error {
			ledger, err := b.table.RowsByUpload(ctx, e.upload.Key, b.id(e.upload))
			if err != nil {
				return err
			}
			for _, job := range c.route.Jobs {
				if !ledger.Has(job.Name, 0) {
					c.jobs = append(c.jobs, job.Name)
				}
			}
			if len(c.jobs) == 0 && len(ledger.Unnoted(0)) == 0 {
				c.skip = media.SkipHaveJobs
			}
			return nil
		})
	}
	return candidates, g.Wait()
}

func (b *backfill) id(u media.Upload) string { return u.ID(b.table.Name()) }

// one sends one object.
func (b *backfill) one(ctx context.Context, brakes *brakes, c candidate) error {
	if b.limit > 0 && b.sent >= b.limit {
		return errEnough
	}
	jobs := len(c.jobs)
	if c.route.TooLarge(c.upload.Size) {
		jobs = 0 // dispatch notes that it rejects the upload
	}
	if !b.DryRun {
		if err := brakes.check(ctx); err != nil {
			return err
		}
		if err := b.dispatcher.Turn(ctx); err != nil {
			return err
		}
		if err := b.dispatcher.Ask(ctx, event.Backfill, event.Request{Upload: c.upload}); err != nil {
			return err
		}
		brakes.asked(jobs)
	}
	b.sent++
	b.tally.send(c.upload, jobs)
	return b.print(c)
}

// sent is an object as -json prints it.
type sent struct {
	Key       string   `json:"pk"`
	Upload    string   `json:"upload"`
	VersionID string   `json:"version_id,omitempty"`
	Jobs      []string `json:"jobs"` // that the table lacked
	Sent      bool     `json:"sent"`
}

// print says what is sent: for people only what would be, the table has the
// rest.
func (b *backfill) print(c candidate) error {
	if b.JSON || b.DryRun {
		b.progress.End()
	}
	switch {
	case b.JSON:
		return b.PrintJSON(sent{c.upload.Key, b.id(c.upload), c.upload.VersionID, slices.Concat([]string{}, c.jobs), !b.DryRun})
	case b.DryRun:
		what := cli.Printable(c.upload.Key)
		if b.Versions && c.upload.VersionID != "" {
			what += " (" + cli.Printable(c.upload.VersionID) + ")"
		}
		jobs := cmp.Or(strings.Join(c.jobs, ", "), "no job, but its rows are not complete")
		_, err := fmt.Fprintf(b.Out, "%s: %s\n", what, cli.Printable(jobs))
		return err
	}
	return nil
}
