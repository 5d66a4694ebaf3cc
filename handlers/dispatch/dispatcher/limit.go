package dispatcher

import (
	"context"
	"errors"
	"sync"
	"time"
)

// fullFor is how long, by the wall clock, a process remembers that the day is
// full: a thousand uploads that wait need not ask one after the other.
const fullFor = 10 * time.Second

// errDailyLimit puts an upload off: the retry queue brings it back.
var errDailyLimit = errors.New("the day's limit of new jobs is reached; the upload waits in the retry queue (DAILY_JOB_LIMIT)")

// limit is the daily limit of new jobs. It is never exceeded: jobs are reserved
// before they are requested, and given back only where they surely were not
// made.
type limit struct {
	jobs  int64 // a day; 0: no limit, and nothing is counted
	store store

	mu    sync.Mutex
	full  int // so many jobs did not fit; 0: unknown
	day   time.Time
	until time.Time
}

// reservation is room for jobs on a day. The zero value is none.
type reservation struct {
	day  time.Time
	jobs int
}

// dayOf is the UTC date of a moment.
func dayOf(now time.Time) time.Time { return now.UTC().Truncate(24 * time.Hour) }

// reserve makes room for n jobs on now's day. It fails with [errDailyLimit] when
// there is not enough.
func (l *limit) reserve(ctx context.Context, now time.Time, n int) (reservation, error) {
	day := dayOf(now)
	if l.jobs == 0 || n == 0 {
		return reservation{}, nil
	}
	if l.isFull(day, n) {
		return reservation{}, errDailyLimit
	}
	ok, err := l.store.ReserveJobs(ctx, day, n, l.jobs)
	if err != nil {
		return reservation{}, err
	}
	if !ok {
		l.remember(day, n)
		return reservation{}, errDailyLimit
	}
	return reservation{day, n}, nil
}

func (l *limit) isFull(day time.Time, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full > 0 && n >= l.full && l.day.Equal(day) && time.Now().Before(l.until)
}

func (l *limit) remember(day time.Time, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full, l.day, l.until = n, day, time.Now().Add(fullFor)
}

// giveBack returns room for n of the reserved jobs.
func (l *limit) giveBack(ctx context.Context, r reservation, n int) error {
	if r.jobs == 0 || n <= 0 {
		return nil
	}
	return l.store.ReturnJobs(ctx, r.day, n)
}
