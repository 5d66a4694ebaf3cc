// Package invocation tells when the current invocation of a function began.
//
// What a function writes to rows, and what it decides by minutes, hours and
// dates, goes by that time and not by the clock on the wall: Lambda gave it with
// the deadline, and whoever gives later deadlines lets days pass in seconds.
// Pauses, rates and the age of caches stay with the clock on the wall.
package invocation

import (
	"context"
	"time"
)

// Time is when Lambda began the invocation whose context it is: its deadline
// less the timeout of the function. A context that was given an earlier deadline
// meanwhile no longer tells, so it belongs at the start of a handler. Without a
// deadline the invocation is taken to begin now.
func Time(ctx context.Context, timeout time.Duration) time.Time {
	deadline, limited := ctx.Deadline()
	if !limited {
		return time.Now()
	}
	return deadline.Add(-timeout)
}
