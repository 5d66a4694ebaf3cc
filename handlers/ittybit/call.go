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
	maxJob    = 16 << 20 // a long film as HLS has tens of thousands of segments
	maxPage   = 8 << 20  // 100 jobs with keys of 1 KB, each repeated in metadata and tasks
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

// response is a success.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (req request) malformed(resp response, format string, args ...any) *Error {
	return &Error{Op: req.op, Status: resp.status, Kind: kindMalformed, Message: redact(fmt.Sprintf(format, args...)), Unknown: true}
}

// call makes attempts until one succeeds, fails for good or is the last one.
func (c *Client) call(ctx context.Context, req request) (response, error) {
	key, err := readKey(ctx, c.key)
	if err != nil {
		return response{}, fmt.Errorf("ittybit: %s: %w", req.op, err)
	}
	secrets := []string{key}
	refreshed := c.refreshKey == nil
	unknown := false
	for attempt := 1; ; attempt++ {
		resp, failure := c.attempt(ctx, req, key, secrets)
		if failure != nil {
			unknown = unknown || !failure.definite()
			failure.Unknown = unknown
		}
		switch {
		case failure == nil:
			return resp, nil
		case failure.Status == http.StatusUnauthorized && !refreshed:
			refreshed = true
			attempt--
			if key, err = readKey(ctx, c.refreshKey); err != nil {
				return response{}, fmt.Errorf("%w; reading it again: %w", failure, err)
			}
			secrets = append(secrets, key)
		case attempt >= c.attempts || !failure.retryable() || ctx.Err() != nil:
			return response{}, failure
		default:
			goOn, err := pause(ctx, delay(attempt, failure.RetryAfter))
			if err != nil {
				return response{}, fmt.Errorf("%w while waiting to try again after: %w", err, failure)
			}
			if !goOn {
				return response{}, failure
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
func (c *Client) attempt(ctx context.Context, req request, key string, secrets []string) (response, *Error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	httpReq, err := c.httpRequest(ctx, req, key)
	if err != nil {
		return response{}, noAnswer(req.op, err, secrets)
	}
	httpResp, err := c.http.Do(httpReq)
	if err != nil {
		return response{}, noAnswer(req.op, err, secrets)
	}
	defer func() {
		// What is left of a small rest is read, so that the connection serves
		// again.
		_, _ = io.CopyN(io.Discard, httpResp.Body, maxRest)
		_ = httpResp.Body.Close()
	}()
	body, err := io.ReadAll(io.LimitReader(httpResp.Body, req.limit+1))
	resp := response{status: httpResp.StatusCode, header: httpResp.Header, body: body}
	switch {
	case resp.status/100 != 2:
		failure := &Error{Op: req.op, Status: resp.status, RetryAfter: retryAfter(resp.header)}
		failure.explain(body, secrets)
		return response{}, failure
	case err != nil:
		return response{}, noAnswer(req.op, err, secrets)
	case int64(len(body)) > req.limit:
		failure := req.malformed(resp, "the answer is longer than %d bytes", req.limit)
		failure.tooLong = true
		return response{}, failure
	default:
		return resp, nil
	}
}

func (c *Client) httpRequest(ctx context.Context, req request, key string) (*http.Request, error) {
	target := c.base + req.path
	if req.query != nil {
		target += "?" + req.query.Encode()
	}
	httpReq, err := http.NewRequestWithContext(ctx, req.method, target, bytes.NewReader(req.body))
	if err != nil {
		return nil, err
	}
	httpReq.Header.Set("Authorization", "Bearer "+key)
	httpReq.Header.Set("Accept", "application/json")
	httpReq.Header.Set("User-Agent", c.userAgent)
	if req.body != nil {
		httpReq.Header.Set("Content-Type", "application/json")
	}
	if req.idempotencyKey != "" {
		httpReq.Header.Set("Idempotency-Key", req.idempotencyKey)
	}
	return httpReq, nil
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
