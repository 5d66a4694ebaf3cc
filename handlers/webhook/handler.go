package main

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/handlers/function"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/record"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

const (
	// maxBody is the largest callback, in bytes after base64.
	maxBody = 1 << 20

	// deadline is when the answer is given, whatever happened: Ittybit waits 5
	// seconds.
	deadline = 4 * time.Second
)

// handler writes callbacks to the table.
type handler struct {
	tokens     *tokenVerifier     // nil: they are not required
	signatures *signatureVerifier // nil: they are not required
	results    record.Recorder
	log        *slog.Logger
	metrics    *telemetry.Metrics
}

// refusal is a callback that is not taken.
type refusal struct {
	status int
	reason string // as counted
	err    error
}

func (r refusal) Error() string { return r.err.Error() }
func (r refusal) Unwrap() error { return r.err }

// Handle answers one callback. It never fails: Ittybit sends again what is not
// answered with 2xx.
func (h *handler) Handle(ctx context.Context, req events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	now := function.InvokedAt(ctx, media.WebhookTimeout)
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	text, err := h.callback(ctx, now, req)
	if err == nil {
		return reply(http.StatusOK, text), nil
	}
	if r, ok := errors.AsType[refusal](err); ok {
		h.log.WarnContext(ctx, "callback refused", "status", r.status, "reason", r.reason, "signed", hasSignature(req.Headers), "error", err.Error())
		h.metrics.Add(telemetry.CallbacksRefused, 1, r.reason)
		return reply(r.status, r.reason), nil
	}
	h.log.ErrorContext(ctx, "callback not stored", "error", err.Error())
	return reply(http.StatusInternalServerError, "not stored, send it again"), nil
}

func reply(status int, text string) events.APIGatewayV2HTTPResponse {
	return events.APIGatewayV2HTTPResponse{
		StatusCode: status,
		Headers:    map[string]string{"Content-Type": "text/plain; charset=utf-8"},
		Body:       text,
	}
}

// callback takes one callback, in the order that reveals the least to those who
// may not send one: size, authentication, form.
func (h *handler) callback(ctx context.Context, now time.Time, req events.APIGatewayV2HTTPRequest) (string, error) {
	body, err := decodeBody(req)
	if err != nil {
		return "", err
	}
	if h.signatures != nil {
		if err := h.signatures.verify(ctx, req.Headers, body); err != nil {
			return "", err
		}
	}
	var claim *media.JobRef
	if h.tokens != nil {
		ref, err := h.tokens.verify(ctx, req.QueryStringParameters)
		if err != nil {
			return "", err
		}
		claim = &ref
	}
	c, err := ittybit.DecodeCallback(body)
	if err != nil {
		return "", refusal{http.StatusBadRequest, "unreadable", err}
	}
	if c.Ignored != "" {
		h.log.InfoContext(ctx, "callback ignored", "event", c.Event, "reason", c.Ignored)
		return "ignored", nil
	}
	report, err := reportOf(now, c.Result, claim)
	if err != nil {
		return "", err
	}
	log := record.Log(h.log, report.Ref, c.Result.JobID)
	if c.Conflict {
		log.WarnContext(ctx, "the callback's event and status disagree", "event", c.Event, "status", c.Result.Status)
	}
	return h.record(ctx, log.With("event", c.Event, "signed", hasSignature(req.Headers)), report)
}

// reportOf finds out whose job a result is about: the one that the token claims.
// Without a token, only the signature speaks for the result's metadata, and it
// is the same for all that this account's jobs report: dispatch's row must
// confirm them.
func reportOf(now time.Time, r media.Result, claim *media.JobRef) (results.Report, error) {
	report := results.Report{At: now, Result: r}
	if claim == nil {
		ref, err := media.RefFromMetadata(r.Metadata)
		if err != nil {
			return report, unauthorized(err)
		}
		report.Ref, report.Mode = ref, results.UpdateOnly
		return report, nil
	}
	if claim.Contradicts(r.Metadata) {
		return report, unauthorized(errors.New("the token is for another job than the callback's metadata name"))
	}
	report.Ref, report.Mode = *claim, results.CreateOrUpdate
	return report, nil
}

// record stores a report, and returns the text of the answer.
func (h *handler) record(ctx context.Context, log *slog.Logger, report results.Report) (string, error) {
	verdict, err := h.results.Record(ctx, log, report)
	if err != nil {
		return "", err
	}
	switch verdict {
	case results.Mismatch:
		return "", unauthorized(errors.New("the job belongs to another upload than the callback says"))
	case results.Missing:
		return "", errors.New("the job has no row yet: dispatch is about to write it")
	case results.Duplicate:
		return "duplicate", nil
	}
	return "ok", nil
}

// decodeBody returns the bytes that Ittybit sent and signed.
func decodeBody(req events.APIGatewayV2HTTPRequest) ([]byte, error) {
	size := len(req.Body)
	if req.IsBase64Encoded {
		size = base64.StdEncoding.DecodedLen(size) - 2 // the padding at most
	}
	tooLarge := refusal{http.StatusRequestEntityTooLarge, "too large", errors.New("the callback has over 1 MiB")}
	if size > maxBody {
		return nil, tooLarge
	}
	if !req.IsBase64Encoded {
		return []byte(req.Body), nil
	}
	body, err := base64.StdEncoding.DecodeString(req.Body)
	switch {
	case err != nil:
		return nil, refusal{http.StatusBadRequest, "unreadable", errors.New("the body is not base64, though API Gateway says so")}
	case len(body) > maxBody:
		return nil, tooLarge
	}
	return body, nil
}
