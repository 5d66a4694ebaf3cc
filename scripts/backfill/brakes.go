package main

import (
	"context"
	"fmt"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
)

const (
	// lookEvery is how many objects are sent between two looks at the day's count
	// and the retry queue.
	lookEvery = 25
	// tolerance is by how many messages the retry queue may grow: some failures
	// are to be expected, and it mends them. When dispatch fails at everything,
	// what is under way by then comes on top.
	tolerance = 100
	// waitPoll is how often the clock and the count are looked at while it waits.
	waitPoll = time.Second
)

// share is what backfill takes of the day's limit: the rest is for live
// uploads. What goes over the limit waits in the retry queue, and after three
// days it goes to the dead letters.
func share(limit int64) int64 { return limit - limit/10 }

// brakes stop a backfill that would fill the dead letters.
type brakes struct {
	*backfill
	left int // objects until the next look

	day           time.Time // UTC
	count         int64     // of the day's new jobs, when it was last read
	before, since int64     // that count at a time when it was known well, and the jobs asked for since

	looked bool
	least  int64 // messages that the retry queue has had
}

// asked notes that jobs were asked for.
func (b *brakes) asked(jobs int) {
	b.left--
	b.since += int64(jobs)
}

// used is how many new jobs the day has, or will have: those asked for are not
// in its count at once.
func (b *brakes) used() int64 { return max(b.count, b.before+b.since) }

// check lets the next object be sent, or says why not.
func (b *brakes) check(ctx context.Context) error {
	for {
		today := day(b.Now())
		if b.left <= 0 || !today.Equal(b.day) {
			if err := b.look(ctx, today); err != nil {
				return err
			}
			b.left = lookEvery
		}
		limit := b.stack.Outputs.Settings.DailyJobLimit
		if limit == 0 || b.used() < share(limit) {
			return nil
		}
		if err := b.settle(ctx, today, share(limit)); err != nil {
			return err
		}
		if b.used() < share(limit) {
			return nil
		}
		if !b.wait {
			return fmt.Errorf("%d of the day's %d new jobs (dailyJobLimit) are made, and the others are for live uploads: go on after midnight UTC, in %s; -wait does that by itself",
				b.used(), limit, cli.Roughly(today.AddDate(0, 0, 1).Sub(b.Now())))
		}
		if err := b.sleep(ctx, today.AddDate(0, 0, 1)); err != nil {
			return err
		}
	}
}

// look reads the day's count and how full the retry queue is.
func (b *brakes) look(ctx context.Context, today time.Time) (err error) {
	if b.stack.Outputs.Settings.DailyJobLimit > 0 {
		if b.count, err = b.table.JobCount(ctx, today); err != nil {
			return err
		}
		if !today.Equal(b.day) {
			b.before, b.since = b.count, 0
		}
	}
	b.day = today
	depth, err := b.stack.QueueDepth(ctx, b.stack.Outputs.RetryQueueURL)
	if err != nil {
		return err
	}
	if !b.looked || depth.All() < b.least {
		b.looked, b.least = true, depth.All()
	}
	if grown := depth.All() - b.least; grown > tolerance {
		return fmt.Errorf("the retry queue has grown by %d messages to %d: dispatch fails at what it gets. See why and mend it; the queue tries again for three days. What dispatch says:\n  %s",
			grown, depth.All(), b.Command("jobs"))
	}
	return nil
}

// settle waits until the day's count has what was asked for, as far as that
// makes it so many. What it lacks after the time that dispatch has for an
// upload, it will never have: Ittybit had the jobs already, or dispatch failed.
func (b *brakes) settle(ctx context.Context, today time.Time, enough int64) error {
	for until := b.Now().Add(media.DispatchTimeout); ; {
		if err := b.look(ctx, today); err != nil {
			return err
		}
		if b.count >= enough || !b.Now().Before(until) {
			b.before, b.since = b.count, 0
			return nil
		}
		if err := cli.Pause(ctx, waitPoll); err != nil {
			return err
		}
	}
}

// sleep waits until the clock shows the time.
func (b *brakes) sleep(ctx context.Context, until time.Time) error {
	b.progress.End()
	b.Note("The day's share of new jobs is used up: waiting until %s", cli.Time(until))
	for b.Now().Before(until) {
		b.progress.Show(func() string { return fmt.Sprintf("going on in %s", cli.Roughly(until.Sub(b.Now()))) })
		if err := cli.Pause(ctx, waitPoll); err != nil {
			return err
		}
	}
	return nil
}

func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
