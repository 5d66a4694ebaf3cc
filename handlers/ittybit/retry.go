package ittybit

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// The waits between attempts. Written here as the clients with retries that
// there are for Go know neither the deadline of a Lambda function nor both
// forms of Retry-After.
const (
	leastDelay = 500 * time.Millisecond
	mostDelay  = 5 * time.Second
	// Callers in parallel are refused together and told the same Retry-After;
	// this keeps them from coming back together.
	spread = 500 * time.Millisecond
	// maxPause is the longest wait that is worth the caller's time.
	maxPause = time.Minute
	// reserve is what is left of the caller's time, to tell of the failure.
	reserve = 500 * time.Millisecond
)

// delay is how long to wait after the attempt of that number, counted from 1.
func delay(attempt int, asked time.Duration) time.Duration {
	if asked > 0 {
		return asked + rand.N(spread)
	}
	most := min(leastDelay<<min(attempt, 10), mostDelay)
	return leastDelay + rand.N(most-leastDelay)
}

// pause waits, unless that would take too long: then it returns false at once.
// It fails when the context ends first.
func pause(ctx context.Context, d time.Duration) (bool, error) {
	deadline, limited := ctx.Deadline()
	if d > maxPause || limited && time.Until(deadline)-d < reserve {
		return false, nil
	}
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-time.After(d):
		return true, nil
	}
}

// retryAfter reads the header's two forms (RFC 9110, section 10.2.3); 0 when it
// is missing, unreadable or asks for no wait.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		const most = 24 * 60 * 60 // keeps the product in range; no caller waits so long
		return time.Duration(min(max(seconds, 0), most)) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(time.Until(date), 0)
	}
	return 0
}
