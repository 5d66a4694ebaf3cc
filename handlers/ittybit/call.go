package ittybit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// attemptTimeout bounds one attempt, from the connection to the last byte.
const attemptTimeout = 10 * time.Second

// Bounds of an answer in bytes.
const (
	maxAnswer = 1 << 20
	maxPage   = 8 << 20 // 100 jobs with keys of 1 KB, each repeated in metadata and tasks
	maxRest   = 64 << 10
)

// request is one call, however many attempts it takes.
type request struct {
	op             string
	method         string
	path           string // escaped, below the base URL
	query          url.Values
	body           []byte
	idempotencyKey string
	limit          int64 // bytes of the answer
}

// answer is a success.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (r request) malformed(a answer, format string, args ...any) *Error {
	return &Error{Op: r.op, Status: a.status, Kind: kindMalformed, Message: redact(fmt.Sprintf(format, args...))}
}

// call makes attempts until one succeeds, fails for good or is the last one.
func (c *Client) call(ctx context.Context, r request) (answer, error) {
	key, err := readKey(ctx, c.key)
	if err != nil {
		return answer{}, fmt.Errorf("ittybit: %s: %w", r.op, err)
	}
	secrets := []string{key}
	refreshed := c.refreshKey == nil
	for attempt := 1; ; attempt++ {
		a, failure := c.attempt(ctx, r, key, secrets)
		switch {
		case failure == nil:
			return a, nil
		case failure.Status == http.StatusUnauthorized && !refreshed:
			refreshed = true
			attempt--
			if key, err = readKey(ctx, c.refreshKey); err != nil {
				return answer{}, fmt.Errorf("%w; reading it again: %w", failure, err)
			}
			secrets = append(secrets, key)
		case attempt >= c.attempts || !failure.retryable() || ctx.Err() != nil:
			return answer{}, failure
		default:
			goOn, err := pause(ctx, delay(attempt, failure.RetryAfter))
			if err != nil {
				return answer{}, fmt.Errorf("%w while waiting to try again after: %w", err, failure)
			}
			if !goOn {
				return answer{}, failure
			}
		}
	}
}

// readKey refuses a key that no header can carry: net/http would, with a word
// that helps nobody.
func readKey(ctx context.Context, read func(context.Context) (string, error)) (string, error) {
	key, err := read(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("the API key cannot be read: %w", err)
	case key == "":
		return "", errors.New("the API key is empty: store it")
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", errors.New("the API key has spaces or characters other than ASCII: store the key alone")
	default:
		return key, nil
	}
}

// attempt sends the request once. POST is repeated by net/http too, when a kept
// connection turns out to be dead: the Idempotency-Key tells it that it may.
func (c *Client) attempt(ctx context.Context, r request, key string, secrets []string) (answer, *Error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	target := c.base + r.path
	if r.query != nil {
		target += "?" + r.query.Encode()
	}
	q, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, noAnswer(r.op, err, secrets)
	}
	q.Header.Set("Authorization", "Bearer "+key)
	q.Header.Set("Accept", "application/json")
	q.Header.Set("User-Agent", c.userAgent)
	if r.body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	if r.idempotencyKey != "" {
		q.Header.Set("Idempotency-Key", r.idempotencyKey)
	}
	p, err := c.http.Do(q)
	if err != nil {
		return answer{}, noAnswer(r.op, err, secrets)
	}
	defer func() {
		// What is left of a small rest is read, so that the connection serves again.
		_, _ = io.CopyN(io.Discard, p.Body, maxRest)
		_ = p.Body.Close()
	}()
	body, err := io.ReadAll(io.LimitReader(p.Body, r.limit+1))
	a := answer{status: p.StatusCode, header: p.Header, body: body}
	switch {
	case p.StatusCode/100 != 2:
		failure := &Error{Op: r.op, Status: p.StatusCode, RetryAfter: retryAfter(p.Header)}
		failure.explain(body, secrets)
		return answer{}, failure
	case err != nil:
		return answer{}, noAnswer(r.op, err, secrets)
	case int64(len(body)) > r.limit:
		return answer{}, r.malformed(a, "the answer is longer than %d bytes", r.limit)
	default:
		return a, nil
	}
}

func noAnswer(op string, err error, secrets []string) *Error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL, which Op stands for
	}
	message := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		message = "no answer in time: " + message
	}
	return &Error{Op: op, Kind: kindNoAnswer, Message: redact(message, secrets...), cause: err}
}
