package ittybit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ittybit-media/handlers/media"
)

// Why a callback cannot be read. Sending it again does not help.
var (
	ErrNotJSON = errors.New("the callback is not JSON")
	ErrNoJobID = errors.New("the callback has no job id")
)

// Callback is what one webhook request of Ittybit says.
type Callback struct {
	Event      string // such as job.succeeded; "" when it is not said
	DeliveryID string // Ittybit's name for the event; "" when it has none
	// Ignored says why the callback is none of a job's; "" when it is one.
	// Then only Event and DeliveryID are filled in.
	Ignored string
	// Conflict: event and status disagree on whether or how the job ended.
	// Result has what was made of it; the log should tell.
	Conflict bool
	Result   media.Result
}

// DecodeCallback reads the body of a webhook request, bare or in any of the
// envelopes of Ittybit's documentation: {event, data}, {type, data} and
// {object: "event", kind, data} (https://ittybit.com/docs/webhooks). It fails
// with [ErrNotJSON] or [ErrNoJobID].
func DecodeCallback(body []byte) (Callback, error) {
	body = bytes.TrimPrefix(body, []byte(byteOrderMark))
	var root envelope
	if err := json.Unmarshal(body, &root); err != nil {
		if _, other := errors.AsType[*json.UnmarshalTypeError](err); other {
			return Callback{}, fmt.Errorf("%w: it is no object", ErrNoJobID)
		}
		return Callback{}, fmt.Errorf("%w: %s", ErrNotJSON, media.Redact(err.Error()))
	}
	j, inData := root.resource()
	c := Callback{Event: clip(root.event(), maxWord)}
	if inData {
		if id := text(root.ID); id != text(j.ID) {
			c.DeliveryID = clip(id, maxID)
		}
	}
	if about, _, said := strings.Cut(c.Event, "."); said && about != "job" && about != "task" {
		c.Ignored = media.Redact(fmt.Sprintf("event %q is not about a job", c.Event))
		return c, nil
	}
	if !inData && root.isEvent() {
		return Callback{}, fmt.Errorf("%w: the event has no data", ErrNoJobID) // its own id is none of a job's
	}
	var err error
	if c.Result, c.Conflict, err = j.result(c.Event); err != nil {
		return Callback{}, fmt.Errorf("%w: %w", ErrNoJobID, err)
	}
	switch strings.ToLower(c.Result.Kind) {
	case "probe", "import", "export": // parts of a job; no route asks for one
		c.Ignored = fmt.Sprintf("kind %q is a part of a job", c.Result.Kind)
		c.Result, c.Conflict = media.Result{}, false
	}
	return c, nil
}

// byteOrderMark may stand before JSON, and is not JSON (RFC 8259, section 8.1).
const byteOrderMark = "\uFEFF"

func (e *envelope) isEvent() bool { return text(e.Object) == "event" }

func (e *envelope) event() string {
	if event := text(e.Event); event != "" {
		return event
	}
	// A bare payload has a MIME type there.
	if event := text(e.Type); event != "" && !strings.Contains(event, "/") {
		return event
	}
	if e.isEvent() {
		return text(e.Kind)
	}
	return ""
}
