package main

import (
	"context"
	"sync"
	"time"
)

// countMaxAge is how old, by the clock on the wall, the day's count may be.
const countMaxAge = 10 * time.Second

// budget is the daily limit of new jobs. It is a guard against a mistake that
// would cost a fortune, not an exact account: functions that run at once may go
// over it by what they make within [countMaxAge]. A nil budget has no limit.
type budget struct {
	limit  int64
	ledger ledger

	mu     sync.Mutex
	day    time.Time
	count  int64
	readAt time.Time
}

func newBudget(limit int64, l ledger) *budget {
	if limit == 0 {
		return nil
	}
	return &budget{limit: limit, ledger: l}
}

// refresh reads the count of now's day when it is not known well enough.
func (b *budget) refresh(ctx context.Context, now time.Time) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	day := now.UTC().Truncate(24 * time.Hour)
	if b.day.Equal(day) && time.Since(b.readAt) < countMaxAge {
		return nil
	}
	readAt := time.Now()
	count, err := b.ledger.JobsOn(ctx, day)
	if err != nil {
		return err
	}
	b.day, b.count, b.readAt = day, count, readAt
	return nil
}

// check fails with [errDailyLimit] when no more jobs may be made today.
func (b *budget) check(context.Context) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count >= b.limit {
		return errDailyLimit
	}
	return nil
}

// spend adds new jobs to the day's count.
func (b *budget) spend(ctx context.Context, jobs int) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	day := b.day
	b.count += int64(jobs)
	b.mu.Unlock()
	return b.ledger.CountJobs(ctx, day, jobs)
}
