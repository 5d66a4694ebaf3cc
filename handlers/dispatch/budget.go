package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// countMaxAge is how old, by the wall clock, the day's count may be.
const countMaxAge = 10 * time.Second

// errDailyLimit puts an upload off: the retry queue brings it back.
var errDailyLimit = errors.New("the day's limit of new jobs is reached; the upload waits in the retry queue (DAILY_JOB_LIMIT)")

// budget is the daily limit of new jobs. It is a guard against a mistake that
// would cost a fortune, not an exact account: functions that run at once may go
// over it by what they make within [countMaxAge].
type budget struct {
	limit int64 // 0: none, and nothing is counted
	store store

	mu     sync.Mutex
	day    time.Time
	count  int64
	readAt time.Time
}

// refresh reads the count of now's day when it is not known well enough.
func (b *budget) refresh(ctx context.Context, now time.Time) error {
	if b.limit == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	day := now.UTC().Truncate(24 * time.Hour)
	if b.day.Equal(day) && time.Since(b.readAt) < countMaxAge {
		return nil
	}
	readAt := time.Now()
	count, err := b.store.JobCount(ctx, day)
	if err != nil {
		return err
	}
	b.day, b.count, b.readAt = day, count, readAt
	return nil
}

// check fails with [errDailyLimit] when no more jobs may be made today.
func (b *budget) check() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limit > 0 && b.count >= b.limit {
		return errDailyLimit
	}
	return nil
}

// spend adds new jobs to the day's count.
func (b *budget) spend(ctx context.Context, jobs int) error {
	if b.limit == 0 {
		return nil
	}
	b.mu.Lock()
	day := b.day
	b.count += int64(jobs)
	b.mu.Unlock()
	return b.store.AddJobs(ctx, day, jobs)
}
