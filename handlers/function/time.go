// Package function is what the main package of every function needs: the
// Ittybit account, the time of an invocation, and the end of an init that
// fails.
package function

import (
	"context"
	"time"
)

// InvokedAt returns when Lambda began the invocation whose context it is: its
// deadline less the timeout of the function. A context that was given an
// earlier deadline meanwhile no longer tells, so it belongs at the start of a
// handler. Without a deadline the invocation is taken to begin now.
//
// What a function writes to rows, and what it decides by minutes, hours and
// dates, goes by that time and not by the wall clock: a test that gives later
// deadlines lets days pass in seconds. Pauses, rates and the age of caches stay
// with the wall clock.
func InvokedAt(ctx context.Context, timeout time.Duration) time.Time {
	deadline, limited := ctx.Deadline()
	if !limited {
		return time.Now()
	}
	return deadline.Add(-timeout)
}
