package fakeittybit

import (
	"encoding/json"
	"maps"
	"time"
)

// Status is how far a job is, in Ittybit's words
// (https://ittybit.com/api/get-job).
type Status string

// The statuses of a job.
const (
	Queued     Status = "queued"
	Processing Status = "processing"
	Succeeded  Status = "succeeded"
	Failed     Status = "failed"
	Cancelled  Status = "cancelled"
)

// Final reports whether the job is over.
func (s Status) Final() bool { return s == Succeeded || s == Failed || s == Cancelled }

// Job is one job as it is at a moment. What it refers to must not be changed.
type Job struct {
	ID         string
	Kind       string
	Input      string
	Output     string // where the result is to go, its templates filled in; "": the fake serves it
	OutputURL  string // where the result is, once it is there
	Options    map[string]any
	Metadata   map[string]string
	WebhookURL string // holds the callback token
	Key        string // the idempotency key it was created with
	Status     Status
	Failure    *Failure
	DurationMS *int64 // length of the output, if it has one
	CreatedAt  time.Time
	StartedAt  time.Time
	FinishedAt time.Time
	UpdatedAt  time.Time

	number int    // in the order of creation
	base   string // the URL of the fake, as the client that created the job knows it
	plan   plan
}

// Failure says why a request was refused or a job failed, in the form of
// Ittybit's errors.
type Failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// Outcome says how a job ends that the [Options.Outcome] hook was asked about.
type Outcome struct {
	After   time.Duration // by the clock, from processing to the end
	Status  Status        // "": what the work gives; Processing: never ends of itself, see [Server.Finish]
	Message string        // of a failure
}

// jobObject is the job object of the reference
// (https://ittybit.com/api/get-job).
type jobObject struct {
	ID         string            `json:"id"`
	Object     string            `json:"object"`
	Kind       string            `json:"kind"`
	Input      string            `json:"input"`
	Output     *string           `json:"output"`
	Options    map[string]any    `json:"options"`
	Metadata   map[string]string `json:"metadata"`
	Status     Status            `json:"status"`
	Error      *Failure          `json:"error"`
	Tasks      []json.RawMessage `json:"tasks"`
	CreatedAt  *int64            `json:"created_at"`
	StartedAt  *int64            `json:"started_at"`
	FinishedAt *int64            `json:"finished_at"`
	UpdatedAt  *int64            `json:"updated_at"`
}

func (j *Job) object() jobObject {
	return jobObject{
		ID:         j.ID,
		Object:     "job",
		Kind:       j.Kind,
		Input:      j.Input,
		Output:     orNull(j.OutputURL),
		Options:    orEmpty(j.Options),
		Metadata:   orEmpty(j.Metadata),
		Status:     j.Status,
		Error:      j.Failure,
		Tasks:      []json.RawMessage{},
		CreatedAt:  milliseconds(j.CreatedAt),
		StartedAt:  milliseconds(j.StartedAt),
		FinishedAt: milliseconds(j.FinishedAt),
		UpdatedAt:  milliseconds(j.UpdatedAt),
	}
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// orEmpty is never nil: the reference shows {} where there is nothing.
func orEmpty[M ~map[string]V, V any](m M) M {
	if m == nil {
		return M{}
	}
	return maps.Clone(m)
}

func milliseconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}
