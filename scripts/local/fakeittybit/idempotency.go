package fakeittybit

import (
	"context"
	"crypto/sha256"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Of idempotency keys (https://ittybit.com/api/idempotency).
const (
	keyLife      = 24 * time.Hour // from the first use
	minKeyLength = 16             // characters
	maxKeyLength = 32
)

// idempotency remembers which keys were used and what was answered.
type idempotency struct {
	clock Clock

	mu    sync.Mutex
	uses  map[string]*use
	swept time.Time
}

// use is the first use of a key.
type use struct {
	key  string
	body [sha256.Size]byte
	at   time.Time
	done chan struct{} // closed when the first request is over
	// first is the answer to it, set before done is closed; nil: there was
	// none worth repeating, and the next request is the first again.
	first *answer
}

// begin finds out whether a request is the first with its key, which then must
// [idempotency.finish] the use that is returned. Otherwise it returns what to
// answer.
func (i *idempotency) begin(ctx context.Context, key string, body []byte, mode InFlight) (*use, *answer) {
	if n := len(key); n < minKeyLength || n > maxKeyLength {
		return nil, invalid("Idempotency-Key must have %d to %d characters, not %d", minKeyLength, maxKeyLength, n)
	}
	sum := sha256.Sum256(body)
	for {
		mine, other := i.claim(key, sum)
		if mine != nil {
			return mine, nil
		}
		if other.body != sum {
			a := refusal(http.StatusConflict, "idempotency_mismatch", "the Idempotency-Key was used with another body")
			return nil, &a
		}
		if mode != WaitInFlight {
			select {
			case <-other.done:
			default:
				if mode == RaceInFlight {
					return &use{done: make(chan struct{})}, nil // which nobody gets to know
				}
				a := refusal(http.StatusConflict, "idempotency_in_progress", "the first request with this Idempotency-Key is not answered yet")
				return nil, &a
			}
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, &answer{status: http.StatusServiceUnavailable}
		}
		if other.first != nil {
			again := *other.first
			if again.status < http.StatusMultipleChoices {
				again.status = http.StatusOK // the reference: a repetition gets 200
			}
			return nil, &again
		}
	}
}

// claim makes a first use of the key, or returns the one there is.
func (i *idempotency) claim(key string, sum [sha256.Size]byte) (mine, other *use) {
	now := i.clock.Now()
	i.mu.Lock()
	defer i.mu.Unlock()
	if now.Sub(i.swept) >= time.Hour {
		i.swept = now
		maps.DeleteFunc(i.uses, func(_ string, u *use) bool { return u.over(now) })
	}
	if u := i.uses[key]; u != nil && !u.over(now) {
		return nil, u
	}
	if i.uses == nil {
		i.uses = map[string]*use{}
	}
	mine = &use{key: key, body: sum, at: now, done: make(chan struct{})}
	i.uses[key] = mine
	return mine, nil
}

func (u *use) over(now time.Time) bool {
	select {
	case <-u.done:
		return now.Sub(u.at) >= keyLife
	default:
		return false
	}
}

// finish ends a first use with the answer to repeat; nil: the key is as new.
func (i *idempotency) finish(u *use, first *answer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if first == nil && i.uses[u.key] == u {
		delete(i.uses, u.key)
	}
	u.first = first
	close(u.done)
}

// ForgetKeys makes every idempotency key as good as new, as 24 hours do.
func (s *Server) ForgetKeys() {
	s.idem.mu.Lock()
	defer s.idem.mu.Unlock()
	s.idem.uses = nil
}
