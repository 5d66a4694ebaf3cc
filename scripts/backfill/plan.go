package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/prices"
)

// plan is what there is to do at most: the table was not asked yet.
type plan struct {
	tally    // Sent: to be looked up in the table
	pages    int64
	tooLarge int64 // to be sent, for dispatch to reject
	old      int64 // older versions to be sent
	partial  bool  // the count ended at -limit
}

// count goes through the bucket's list.
func (b *backfill) count(ctx context.Context) (plan, error) {
	p := plan{tally: newTally()}
	for entries, err := range b.list.pages(ctx, b.After) {
		if err != nil {
			return p, err
		}
		p.pages++
		for _, e := range entries {
			route, skip := b.route(e)
			switch {
			case skip != "":
				p.skip(skip)
			case b.limit > 0 && p.Sent == b.limit:
				p.partial = true
				return p, nil
			case route.TooLarge(e.upload.Size):
				p.tooLarge++
				p.send(e.upload, 0)
			default:
				p.send(e.upload, len(route.Jobs))
			}
			if skip == "" && e.old {
				p.old++
			}
		}
		b.progress.Show(func() string { return fmt.Sprintf("counting: %s", cli.Count(p.Objects, "object")) })
	}
	return p, nil
}

// tell says what there is to do and what that means.
func (b *backfill) tell(ctx context.Context, p plan) error {
	what := "s3://" + b.list.bucket
	if b.list.prefixes[0] != "" {
		what += " under " + cli.Printable(strings.Join(b.list.prefixes, ", "))
	}
	switch {
	case p.Sent == 0:
		b.Say("%s: there is nothing to send", what)
		return nil
	case p.partial:
		b.Say("%s: %s to send, as -limit says; the others are not counted", what, cli.Count(p.Sent, "object"))
	default:
		b.Say("%s: %s, of which %d to send, unless the table has their jobs", what, cli.Count(p.Objects, "object"), p.Sent)
		b.sayReasons(p.Skipped)
	}
	if p.old > 0 {
		b.Say("%s: Ittybit is given keys and not versions, and reads the newest bytes for each of them.", cli.Count(p.old, "older version"))
	}
	if p.tooLarge > 0 {
		b.Say("%s larger than the route takes (maxBytes): dispatch will note that they are rejected.", cli.Count(p.tooLarge, "object"))
	}
	least := "at most"
	if p.partial {
		least = "about"
	}
	known, err := prices.Known()
	if err != nil {
		return err
	}
	all, transfer := cost(p, known)
	b.Say("Jobs: %s %d. Ittybit charges for each; its price is not known here.", least, p.Jobs)
	b.Say("AWS: about $%.2f, of which $%.2f for the transfer of %s to Ittybit (list prices of %s, %s).", all, transfer, size(p.Bytes), known.Date, known.Region)
	b.Say("Time: %s or more, at %g objects a second.", cli.Roughly(b.least(p.Sent)), b.rate)
	return b.tellLimit(ctx, p)
}

// least is how long it takes to send so many objects.
func (b *backfill) least(objects int64) time.Duration {
	return time.Duration(float64(objects) / b.rate * float64(time.Second))
}

// tellLimit says what the day's limit of new jobs means for it.
func (b *backfill) tellLimit(ctx context.Context, p plan) error {
	limit := b.stack.Outputs.Settings.DailyJobLimit
	if limit == 0 {
		return nil
	}
	today, err := b.table.JobCount(ctx, b.Now())
	if err != nil {
		return err
	}
	room := max(share(limit)-today, 0)
	if p.Jobs <= room {
		return nil
	}
	days := 1 + (p.Jobs-room+share(limit)-1)/share(limit)
	next := "it then ends, and the same command goes on after midnight UTC (-wait: by itself)"
	if b.wait {
		next = "it then waits until midnight UTC"
	}
	b.Say("Limit: the stack makes %d new jobs a day (dailyJobLimit), and has made %d today. What goes over waits in the retry queue, and after three days goes to the dead letters; so this takes %d of them and leaves the others to live uploads: %s. That makes %d days.",
		limit, today, share(limit), next, days)
	return nil
}
