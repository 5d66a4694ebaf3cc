package ittybit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ittybit-media/handlers/media"
)

// The kinds of error that are ours and not Ittybit's.
const (
	kindNoAnswer  = "no_answer"        // the network, or a time-out
	kindMalformed = "malformed_answer" // a success that says no job
	kindOther     = "other_job"        // a success that is about another job
	kindEndless   = "endless_list"     // the end of a list was not found
)

// Error is why a call failed: an answer that is no success, or none at all. Its
// texts have no secret in them.
type Error struct {
	Op         string        // what was tried: "create job"
	Status     int           // the HTTP status; 0 when there was no answer
	Kind       string        // Ittybit's word, such as invalid_input, or one of ours
	Message    string        // what went wrong
	RetryAfter time.Duration // how long Ittybit asked to wait; 0 when it did not
	// FromIttybit: the answer has the form of Ittybit's errors. Without it, it
	// may be the word of a proxy on the way.
	FromIttybit bool
	// Unknown: some attempt of the call had no answer, or one that is not a
	// plain refusal (4xx other than 408): what it asked for may have been done.
	Unknown bool

	tooLong bool // the answer is, for the call
	cause   error
}

// Error tells what failed, how, and what an operator can do.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("ittybit: " + e.Op + ":")
	if e.Status != 0 {
		fmt.Fprintf(&b, " HTTP %d", e.Status)
	}
	if e.Kind != "" {
		b.WriteString(" " + e.Kind)
	}
	if remedy := e.remedy(); remedy != "" {
		b.WriteString(" (" + remedy + ")")
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	return media.Redact(b.String())
}

// Unwrap is the network's error, so that [errors.Is] finds an ended context.
func (e *Error) Unwrap() error { return e.cause }

// Refusal reports whether Ittybit itself refused the request for what is in it.
// A first refusal may still pass, where the object was not readable yet.
func (e *Error) Refusal() bool {
	if e.Conflict() {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return e.FromIttybit
	default:
		return false
	}
}

// Conflict reports whether the answer speaks of the idempotency key: the job is
// there already, or is being made.
func (e *Error) Conflict() bool {
	if e.Status == http.StatusConflict {
		return true
	}
	said := strings.ToLower(e.Kind + " " + e.Message)
	return e.Status/100 == 4 && strings.Contains(said, "idempoten")
}

// definite reports whether the attempt surely did nothing.
func (e *Error) definite() bool {
	return e.Status/100 == 4 && e.Status != http.StatusRequestTimeout
}

// NotFound reports whether Ittybit itself says that there is no such job. A 404
// of anyone else rather means a wrong API URL.
func (e *Error) NotFound() bool { return e.Status == http.StatusNotFound && e.FromIttybit }

// OtherJob reports whether the answer to a question for a job is about another
// one.
func (e *Error) OtherJob() bool { return e.Kind == kindOther && e.Status/100 == 2 }

// retryable reports whether another attempt may help within this call.
func (e *Error) retryable() bool {
	return e.Status == 0 && e.Kind == kindNoAnswer || e.Status == http.StatusRequestTimeout ||
		e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError
}

func (e *Error) remedy() string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return "check the API key"
	case e.Status == http.StatusPaymentRequired:
		return "check the bill of the Ittybit account"
	case e.Status == http.StatusForbidden:
		return "check what the API key may do"
	case e.Status/100 == 3, e.Status == http.StatusNotFound && !e.FromIttybit, e.Status == http.StatusMethodNotAllowed:
		return "check the API URL"
	default:
		return ""
	}
}

// problem is the form of Ittybit's errors, at the root or under error
// (https://ittybit.com/api/responses and its older editions).
type problem struct {
	Kind    json.RawMessage `json:"kind"`
	Code    json.RawMessage `json:"code"`
	Message json.RawMessage `json:"message"`
}

func (p problem) kind() string {
	if kind := text(p.Kind); kind != "" {
		return kind
	}
	return text(p.Code)
}

// explain fills in what the body of an answer says of its failure, without the
// API keys: the answer may quote the request.
func (e *Error) explain(body []byte, secrets []string) {
	var root struct {
		problem
		Error json.RawMessage `json:"error"`
	}
	isJSON := json.Unmarshal(body, &root) == nil
	kind, message := "", ""
	switch {
	case !isJSON:
	case isObject(root.Error):
		var inner problem
		if json.Unmarshal(root.Error, &inner) == nil {
			kind, message = inner.kind(), text(inner.Message)
		}
		e.FromIttybit = kind != "" || message != ""
	case isText(root.Error):
		message = text(root.Error)
		e.FromIttybit = message != ""
	default:
		kind, message = root.kind(), text(root.Message)
		// AWS's and others' gateways say {"message": …} alone.
		e.FromIttybit = kind != "" && message != ""
	}
	if kind == "" && message == "" {
		message = strings.Join(strings.Fields(string(body)), " ")
	}
	e.Kind, e.Message = redact(kind, secrets...), redact(message, secrets...)
}
