package fakeittybit

import "time"

// Shape is a form of callback. Ittybit's documentation shows several, from
// different years.
type Shape string

// The shapes.
const (
	// Guide is the AWS guide's: an event and the job under data, which has
	// "completed" for a status and completed_at for a time.
	Guide Shape = ""
	// Bare is the job alone
	// (https://ittybit.com/guides/set-up-webhook-notifications).
	Bare Shape = "bare"
	// Typed is the job with the event's name beside, as type
	// (https://ittybit.com/guides/ai-media-pipeline-with-inngest).
	Typed Shape = "typed"
	// TypedData is the same with the job under data.
	TypedData Shape = "typed-data"
	// Event is an event object of 2025 with a task under data, in seconds
	// (https://ittybit.com/docs/webhooks).
	Event Shape = "event"
	// Task is the bare task before that, in ISO times
	// (https://ittybit.dev/docs/webhooks).
	Task Shape = "task"
)

// Shapes are all shapes.
var Shapes = []Shape{Guide, Bare, Typed, TypedData, Event, Task}

// fields is a JSON object.
type fields map[string]any

// payload is the callback's body for what the job is now; event is the id that
// all deliveries of this callback share.
func (s Shape) payload(j *Job, event string) []byte {
	name := "job." + string(j.Status)
	var root any
	switch s {
	case Bare:
		root = j.fields()
	case Typed:
		f := j.fields()
		f["type"] = name
		root = f
	case TypedData:
		root = fields{"type": name, "data": j.fields()}
	case Event:
		root = fields{
			"id": event, "object": "event", "kind": "task." + string(j.Status),
			"data":       j.taskFields(),
			"created_at": j.UpdatedAt.Unix(),
		}
	case Task:
		root = j.oldTaskFields()
	default:
		root = fields{"event": name, "data": j.guideFields()}
	}
	body, err := marshal(root)
	if err != nil {
		return nil // cannot be: all of it came from JSON or is plain
	}
	return body
}

// outputObject is the output in callbacks: an object where the API has a URL.
func (j *Job) outputObject() any {
	if j.OutputURL == "" {
		return nil
	}
	return fields{"url": j.OutputURL}
}

// olderStatus is the word that was used before "succeeded".
func (j *Job) olderStatus() string {
	if j.Status == Succeeded {
		return "completed"
	}
	return string(j.Status)
}

func (j *Job) guideFields() fields {
	f := fields{
		"id": j.ID, "status": j.olderStatus(), "kind": j.Kind, "input": j.Input,
		"output":     j.outputObject(),
		"metadata":   orEmpty(j.Metadata),
		"created_at": j.CreatedAt.UnixMilli(),
	}
	if j.DurationMS != nil {
		f["duration_ms"] = *j.DurationMS
	}
	if !j.FinishedAt.IsZero() {
		f["completed_at"] = j.FinishedAt.UnixMilli()
	}
	if j.Failure != nil {
		f["error"] = j.Failure
	}
	return f
}

func (j *Job) fields() fields {
	o := j.object()
	return fields{
		"id": o.ID, "object": o.Object, "kind": o.Kind, "input": o.Input,
		"output":  j.outputObject(),
		"options": o.Options, "metadata": o.Metadata,
		"status": o.Status, "error": o.Error, "tasks": o.Tasks,
		"created_at": o.CreatedAt, "started_at": o.StartedAt,
		"finished_at": o.FinishedAt, "updated_at": o.UpdatedAt,
	}
}

func (j *Job) taskFields() fields {
	outputs := []any{}
	if o := j.outputObject(); o != nil {
		outputs = append(outputs, o)
	}
	return fields{
		"id": j.ID, "object": "task", "kind": j.Kind, "status": j.Status,
		"outputs": outputs, "metadata": orEmpty(j.Metadata), "error": j.Failure,
		"created_at": j.CreatedAt.Unix(), "finished_at": seconds(j.FinishedAt),
	}
}

func (j *Job) oldTaskFields() fields {
	f := fields{
		"id": j.ID, "object": "task", "kind": j.Kind, "status": j.olderStatus(),
		"output": j.outputObject(), "results": nil, "metadata": orEmpty(j.Metadata),
		"project_id": "proj_local", "automation_id": nil,
		"created": j.CreatedAt.UTC().Format(time.RFC3339Nano),
	}
	if !j.FinishedAt.IsZero() {
		f["completed"] = j.FinishedAt.UTC().Format(time.RFC3339Nano)
	}
	if j.Failure != nil {
		f["error"] = j.Failure.Message // a text, in those days
	}
	return f
}

func seconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	s := t.Unix()
	return &s
}
