package ittybit

import (
	"encoding/json"
	"errors"
	"strings"

	"ittybit-media/handlers/media"
)

// Bounds of what is taken over from a job, in bytes where not said otherwise.
// Together they keep a job within a DynamoDB item of 400 KB, and its id within
// a sort key ("Constraints in Amazon DynamoDB", Amazon DynamoDB Developer
// Guide).
const (
	maxID      = 256
	maxWord    = 64 // a status, a kind, an event
	maxURL     = 4096
	maxOutputs = 64 // files
)

var errNoID = errors.New("id or data.id must be a text of 1 to 256 bytes")

// job is a job as Ittybit writes it, in any of its generations. Every field is
// raw, so that one of an unexpected type does not spoil the others.
type job struct {
	ID         json.RawMessage `json:"id"`
	Kind       json.RawMessage `json:"kind"`
	Status     json.RawMessage `json:"status"`
	Input      json.RawMessage `json:"input"`
	Output     json.RawMessage `json:"output"`
	Outputs    json.RawMessage `json:"outputs"`
	Error      json.RawMessage `json:"error"`
	Metadata   json.RawMessage `json:"metadata"`
	DurationMS json.RawMessage `json:"duration_ms"`

	CreatedAt json.RawMessage `json:"created_at"`
	Created   json.RawMessage `json:"created"`

	FinishedAt  json.RawMessage `json:"finished_at"`
	CompletedAt json.RawMessage `json:"completed_at"`
	SucceededAt json.RawMessage `json:"succeeded_at"`
	Completed   json.RawMessage `json:"completed"`
}

// envelope is an answer or a callback: a job, or something around one.
type envelope struct {
	job
	Event  json.RawMessage `json:"event"`
	Type   json.RawMessage `json:"type"`
	Object json.RawMessage `json:"object"`
	Data   json.RawMessage `json:"data"`
}

// resource is the job in the envelope, and whether it lies in data. The root's
// id and kind are those of the event then.
func (e *envelope) resource() (j *job, inData bool) {
	if !isObject(e.Data) {
		return &e.job, false
	}
	var data job
	if json.Unmarshal(e.Data, &data) != nil || !isText(data.ID) && !isText(data.Status) {
		return &e.job, false
	}
	return &data, true
}

// result reads the job; event is the one that brought it, or "".
func (j *job) result(event string) (r media.Result, conflict bool, err error) {
	id := text(j.ID)
	if id == "" || len(id) > maxID {
		return media.Result{}, false, errNoID
	}
	r = media.Result{
		JobID:      id,
		Kind:       clip(text(j.Kind), maxWord),
		Input:      urlOf(j.Input),
		Error:      failure(j.Error),
		DurationMS: milliseconds(j.DurationMS),
		Metadata:   metadata(j.Metadata),
		CreatedAt:  firstTime(j.CreatedAt, j.Created),
		FinishedAt: firstTime(j.FinishedAt, j.CompletedAt, j.SucceededAt, j.Completed),
	}
	r.Outputs, r.OutputsOmitted = outputs(j.Output, j.Outputs)
	r.Status, r.State, conflict = stateFrom(clip(text(j.Status), maxWord), event)
	return r, conflict, nil
}

// stateFrom finds the state from the status and the event that brought it, with
// the word that decided. They should agree; where they do not, one that says
// that the job is over wins, and the status before the event.
func stateFrom(status, event string) (word string, state media.State, conflict bool) {
	suffix := event[strings.LastIndexByte(event, '.')+1:]
	byStatus, statusKnown := stateOf(status)
	byEvent, eventKnown := stateOf(suffix)
	conflict = statusKnown && eventKnown && byStatus != byEvent && (byStatus.Final() || byEvent.Final())
	switch {
	case byStatus.Final():
		return status, byStatus, conflict
	case byEvent.Final():
		return suffix, byEvent, conflict
	case status != "":
		return status, byStatus, conflict
	case eventKnown:
		return suffix, byEvent, conflict
	default:
		return "", media.Queued, false
	}
}

// stateOf is the state that a word of any generation means. An unknown word
// means at least that the job is not known to be over.
func stateOf(word string) (state media.State, known bool) {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "succeeded", "completed", "ready", "success":
		return media.Succeeded, true
	case "failed", "error", "errored":
		return media.Failed, true
	case "cancelled", "canceled":
		return media.Cancelled, true
	case "queued", "pending", "waiting", "created":
		return media.Queued, true
	case "validating", "processing", "finishing":
		return media.Processing, true
	default:
		return media.Processing, false
	}
}
