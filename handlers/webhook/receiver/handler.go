package receiver

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
	"ittybit-media/handlers/telemetry"
)

const (
	// maxBody is the largest callback, in bytes after base64: no more than 6 MB
	// reach a function ("Lambda quotas", AWS Lambda Developer Guide).
	maxBody = 6 << 20

	// deadline is when the answer is given, whatever happened: Ittybit waits 5
	// seconds.
	deadline = 4 * time.Second
)

// Handler writes callbacks to the table.
type Handler struct {
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

// Handle answers one callback. It never fails: Ittybit sends again what is not
// answered with 2xx.
func (h *Handler) Handle(ctx context.Context, req events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
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
	if errors.Is(err, errEarly) {
		h.log.WarnContext(ctx, "callback too early", "error", err.Error())
		h.metrics.Add(telemetry.CallbacksEarly, 1, "")
		return reply(http.StatusInternalServerError, "not yet, send it again"), nil
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
func (h *Handler) callback(ctx context.Context, now time.Time, req events.APIGatewayV2HTTPRequest) (string, error) {
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
	return h.record(ctx, log.With("event", c.Event, "signed", hasSignature(req.Headers)), c, report)
}

// decodeBody returns the bytes that Ittybit sent and signed.
func decodeBody(req events.APIGatewayV2HTTPRequest) ([]byte, error) {
	size := len(req.Body)
	if req.IsBase64Encoded {
		size = base64.StdEncoding.DecodedLen(size) - 2 // the padding at most
	}
	tooLarge := refusal{http.StatusRequestEntityTooLarge, "too large", errors.New("the callback has over 6 MiB")}
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
