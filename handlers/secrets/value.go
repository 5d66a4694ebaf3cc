package secrets

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// ttl is how long a value is used before it is read again.
	ttl = 5 * time.Minute
	// retryAfter is the least time between two tries to replace a value that is
	// past its ttl.
	retryAfter = 30 * time.Second
	// patience is how long Get waits for a new value while it still has an old
	// one: the webhook's 4 s have to hold the table's work as well.
	patience = time.Second
	// readTimeout ends one read, the client's retries included.
	readTimeout = 5 * time.Second
)

// Value is one secret, read when it is needed, kept for 5 minutes and shared by
// concurrent callers. When it cannot be read again after that, the old value
// stays in use (a warning tells) and a new try is made every 30 s at most.
//
// A read belongs to no caller: one whose context ends stops waiting, and the
// read goes on for the others. Reads that fail are not kept.
//
// The bookkeeping is our own, for golang.org/x/sync/singleflight does not say
// when the call began that one is about to share, and Refresh must know.
type Value[T any] struct {
	log   *slog.Logger
	what  string
	fetch Fetcher
	parse func(string) (T, error)

	mu      sync.Mutex
	count   uint64   // reads begun
	running *read[T] // the latest begun, until it ends
	good    *read[T] // the latest begun of those that succeeded: holds the value in use
	failed  *read[T] // the last one that failed, if no later one had succeeded by then
}

// read is one reading of the secret. Its value and err may be looked at once
// done is closed.
type read[T any] struct {
	number uint64    // reads are ordered by this: a clock can be set back
	began  time.Time // a value is as old as the beginning of its read
	forced bool      // begun by Refresh
	done   chan struct{}
	value  T
	err    error
}

// NewValue makes a Value that reads with fetch and parse, and warns in log. what
// names the secret in errors and log lines: its use and its name, not its text.
// The errors of parse must not quote the text either. All callers get the same
// T: a slice in it must not be changed.
func NewValue[T any](log *slog.Logger, what string, fetch Fetcher, parse func(string) (T, error)) *Value[T] {
	return &Value[T]{log: log, what: what, fetch: fetch, parse: parse}
}

// Prefetch begins the first read in the background; the first Get waits for it.
// For the init of a function, where it runs beside other work. If Lambda
// freezes the sandbox before the read ends and that breaks it, Get reads again.
func (v *Value[T]) Prefetch() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.good == nil && v.running == nil {
		v.begin(now(), false)
	}
}

// Get returns the value, read at most 5 minutes ago unless reading fails or
// takes over 1 s while there is an older one. The error is the context's, or
// that of a read that began after the call.
func (v *Value[T]) Get(ctx context.Context) (T, error) {
	r, old, own := v.current()
	value, err := v.await(ctx, r, old)
	if err == nil || own || old != nil || ctx.Err() != nil {
		return value, err
	}
	// The read was under way when we came. Its failure may be history, as that
	// of a read which a freeze cut off.
	r, old, _ = v.current()
	return v.await(ctx, r, old)
}

// current returns the read that has the value or is going to, the older read
// that can stand in for it, and whether this call has begun the read.
func (v *Value[T]) current() (r, old *read[T], own bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := now()
	switch {
	case v.good != nil && within(at, v.good.began, ttl):
		return v.good, nil, false
	case v.running != nil:
		return v.running, v.good, false
	case v.good != nil && v.failed != nil && within(at, v.failed.began, retryAfter):
		return v.good, nil, false
	}
	return v.begin(at, false), v.good, true
}

// Refresh returns the value of a read that began less than minAge ago, or reads
// again. With 0 it is for a value that was just refused, as an API key by a
// 401; with more it bounds how often strangers can cause a read, as by tokens
// with an unknown key id: a read that failed counts too, and its error is
// returned again.
//
// A read under way that began before that is not waited for, as it may return
// what is about to be replaced; a new one passes it. The exception is one begun
// by another Refresh, which is shared: the value in use was refused before that
// read began, and the value in use is all that this caller can have been
// refused with.
//
// On an error the old value stays in use for Get.
func (v *Value[T]) Refresh(ctx context.Context, minAge time.Duration) (T, error) {
	return v.await(ctx, v.renewed(minAge), nil)
}

func (v *Value[T]) renewed(minAge time.Duration) *read[T] {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := now()
	switch {
	case v.good != nil && within(at, v.good.began, minAge):
		return v.good
	case v.running != nil && (v.running.forced || within(at, v.running.began, minAge)):
		return v.running
	case v.failed != nil && within(at, v.failed.began, minAge):
		return v.failed
	}
	return v.begin(at, true)
}

// begin starts a read that no caller's context can end. The caller holds the
// lock.
func (v *Value[T]) begin(at time.Time, forced bool) *read[T] {
	v.count++
	r := &read[T]{number: v.count, began: at, forced: forced, done: make(chan struct{})}
	v.running = r
	go v.run(r)
	return r
}

func (v *Value[T]) run(r *read[T]) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	text, err := v.fetch(ctx)
	if err == nil {
		r.value, err = v.parse(text)
	}
	if err != nil {
		r.err = fmt.Errorf("%s: %w", v.what, err)
	}
	if old := v.finish(r); old != nil {
		v.log.Warn("a secret could not be read again, the value read before stays in use",
			"secret", v.what, "age", now().Sub(old.began).String(), "error", err)
	}
}

// finish takes in a read that ended. It returns the read whose value stays in
// use without any caller being told: a failed Refresh returns its error.
func (v *Value[T]) finish(r *read[T]) (old *read[T]) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer close(r.done)
	if v.running == r {
		v.running = nil
	}
	switch passed := v.good != nil && v.good.number > r.number; {
	case passed: // it must not bring back an older value, and its failure is of no interest
	case r.err == nil:
		v.good = r
	default:
		v.failed = r
		if !r.forced {
			return v.good
		}
	}
	return nil
}

// await waits for r; with an old value at hand, no longer than patience after r
// began, and it prefers that to an error.
func (v *Value[T]) await(ctx context.Context, r, old *read[T]) (T, error) {
	var enough <-chan time.Time
	if old != nil {
		timer := time.NewTimer(patience - now().Sub(r.began))
		defer timer.Stop()
		enough = timer.C
	}
	// A value that is there is returned even if ctx has ended.
	select {
	case <-r.done:
	default:
		select {
		case <-r.done:
		case <-enough:
			return old.value, nil
		case <-ctx.Done():
			var none T
			return none, fmt.Errorf("%s: waiting for the secret: %w", v.what, ctx.Err())
		}
	}
	if r.err != nil && old != nil {
		return old.value, nil
	}
	return r.value, r.err
}

// now is the wall clock's time alone. The monotonic clock may stand still while
// Lambda freezes a sandbox, and a value would seem younger than it is.
func now() time.Time { return time.Now().Round(0) }

// within tells whether t is less than d before at. A time to come, after the
// clock was set back, is not.
func within(at, t time.Time, d time.Duration) bool {
	age := at.Sub(t)
	return age >= 0 && age < d
}
