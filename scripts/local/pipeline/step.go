package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/eventbridge"
	"ittybit-media/scripts/local/aws/lambda"
	"ittybit-media/scripts/local/aws/s3"
	"ittybit-media/scripts/local/aws/sqs"
)

// Kind is what a step is about.
type Kind string

// The kinds of steps.
const (
	Uploaded   Kind = "uploaded"    // an object came into being; Text is its size
	Unmatched  Kind = "not matched" // the rule does not take it; Text says why
	Skipped    Kind = "skipped"     // dispatch does not take it; Text says why
	Dispatched Kind = "dispatched"  // dispatch is done with it
	Failed     Kind = "failed"      // dispatch failed; Text says how
	Waiting    Kind = "waiting"     // it is in the retry queue
	Retried    Kind = "retried"     // the retry queue gives it to dispatch again
	Relieved   Kind = "relieved"    // dispatch is done with what the retry queue gave it
	DeadLetter Kind = "dead letter" // it was given up
	Called     Kind = "called"      // webhook answered a callback
	Swept      Kind = "swept"       // sweep has run; Text says how it failed, if it did
	Event      Kind = "event"       // a result event; Text is its detail type and its detail
	LostEvent  Kind = "lost event"  // a result has no event; Text says why
	Logged     Kind = "log"         // a line that a function logged
	Exited     Kind = "exited"      // a function's process ended; Text says how
)

// Step is one thing that happened on the way from an upload to its rows.
type Step struct {
	Time   time.Time
	Kind   Kind
	Source string       // the part that it happened in
	Upload media.Upload // the zero value where the step is about none
	Text   string
	Event  []byte // of Uploaded: what S3 tells EventBridge; not to be changed
}

func (p *Pipeline) tell(kind Kind, source string, u media.Upload, text string) {
	p.observe(Step{Kind: kind, Source: source, Upload: u, Text: text})
}

func (p *Pipeline) observe(s Step) {
	if p.opts.Observe != nil {
		s.Time = p.clock.Now()
		p.opts.Observe(s)
	}
}

// created is EventBridge: S3 reports every new object to it, unless the
// bucket's notification configuration says otherwise, and the rule sends what
// it matches to dispatch.
func (p *Pipeline) created(c s3.Created) {
	u := media.Upload{Bucket: c.Bucket, Key: c.Key, Size: c.Size, ETag: c.ETag, VersionID: c.VersionID, Sequencer: c.Sequencer, Time: c.Time}
	payload := eventbridge.ObjectCreated(eventbridge.Object{
		Account: endpoint.Account, Region: endpoint.Region,
		Bucket: c.Bucket, Key: c.Key, Size: c.Size, ETag: c.ETag, VersionID: c.VersionID, Sequencer: c.Sequencer,
		Reason: c.Reason, Time: c.Time,
	})
	p.observe(Step{Kind: Uploaded, Source: "s3", Upload: u, Text: fmt.Sprintf("%d bytes", c.Size), Event: payload})
	if !c.EventBridge {
		p.tell(Unmatched, "s3", u, "EventBridge is off for the bucket")
		return
	}
	if why := p.rule.Explain(payload); why != "" {
		p.tell(Unmatched, "rule", u, why)
		return
	}
	deliveries := []time.Duration{0}
	if p.opts.Deliveries != nil {
		deliveries = p.opts.Deliveries(u)
	}
	for _, after := range deliveries {
		if after <= 0 {
			p.Deliver(payload)
			continue
		}
		p.late.Add(1)
		p.clock.AfterFunc(after, func() {
			p.Deliver(payload)
			p.late.Add(-1)
		})
	}
}

// Deliver gives dispatch an event as EventBridge does: asynchronously, and to
// the retry queue when it cannot be delivered.
func (p *Pipeline) Deliver(payload []byte) {
	if _, err := p.Dispatch.InvokeAsync(payload); err != nil {
		p.retryLater(payload)
	}
}

// retryLater puts an event, or Lambda's envelope of one, into the retry queue.
func (p *Pipeline) retryLater(message []byte) {
	if _, err := p.RetryQueue.Send(string(message), nil); err != nil {
		p.tell(DeadLetter, "retry queue", uploadOf(message), err.Error())
	}
}

// uploadOf is the upload that a message or a payload is about; the zero value
// when it is about several or none.
func uploadOf(message []byte) media.Upload {
	if u := event.DecodeMessage(message).Request.Upload; u.Key != "" {
		return u
	}
	batch, err := event.DecodePayload(message)
	if err != nil || len(batch.Messages) != 1 {
		return media.Upload{}
	}
	return batch.Messages[0].Request.Upload
}

func (p *Pipeline) functionEvent(e lambda.Event) {
	if p.opts.Observe == nil {
		return
	}
	switch {
	case e.Kind == lambda.ProcessExited:
		p.tell(Exited, e.Function, media.Upload{}, e.Failure)
	case e.Kind != lambda.InvocationEnded:
	case e.Function == "webhook":
		p.tell(Called, e.Function, media.Upload{}, e.Failure)
	case e.Function == "sweep":
		p.tell(Swept, e.Function, media.Upload{}, e.Failure)
	case e.Failure != "":
		p.tell(Failed, e.Function, uploadOf(e.Request), e.Failure)
	default:
		var answer struct {
			Skipped           string
			BatchItemFailures *[]json.RawMessage
		}
		_ = json.Unmarshal(e.Response, &answer) // what cannot be read says nothing
		switch {
		case answer.BatchItemFailures != nil: // a batch: the queue tells what became of each message
		case answer.Skipped != "":
			p.tell(Skipped, e.Function, uploadOf(e.Request), answer.Skipped)
		default:
			p.tell(Dispatched, e.Function, uploadOf(e.Request), "")
		}
	}
}

func (p *Pipeline) queueEvent(e sqs.Event) {
	if p.opts.Observe == nil {
		return
	}
	kinds := map[sqs.Kind]Kind{sqs.Sent: Waiting, sqs.Received: Retried, sqs.Deleted: Relieved, sqs.DeadLettered: DeadLetter, sqs.Expired: DeadLetter}
	if kind, ok := kinds[e.Kind]; ok {
		p.tell(kind, "retry queue", uploadOf([]byte(e.Body)), fmt.Sprintf("received %d times", e.Receives))
	}
}

// stepWriter turns what a function writes into steps. Metrics are not for a
// person's eyes.
type stepWriter struct {
	p        *Pipeline
	function string
}

func (w stepWriter) Write(line []byte) (int, error) {
	if w.p.opts.Observe == nil {
		return len(line), nil
	}
	text := strings.TrimRight(string(line), "\n")
	var fields map[string]any
	if json.Unmarshal(line, &fields) != nil {
		w.p.tell(Logged, w.function, media.Upload{}, text)
		return len(line), nil
	}
	if fields["_aws"] != nil {
		return len(line), nil
	}
	bucket, _ := fields["bucket"].(string)
	key, _ := fields["key"].(string)
	w.p.tell(Logged, w.function, media.Upload{Bucket: bucket, Key: key}, logText(fields))
	return len(line), nil
}

// logText is a log line's message and what it says beside the upload.
func logText(fields map[string]any) string {
	var b strings.Builder
	if level := fields["level"]; level != "INFO" {
		fmt.Fprintf(&b, "%v: ", level)
	}
	fmt.Fprint(&b, fields["message"])
	for _, name := range []string{"timestamp", "level", "message", "requestId", "bucket", "key", "upload"} {
		delete(fields, name)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, " %s=%v", name, fields[name])
	}
	return b.String()
}

// resultEvent is the bus of the result events.
func (p *Pipeline) resultEvent(payload []byte) {
	if p.opts.OnEvent != nil {
		p.opts.OnEvent(payload)
	}
	if p.opts.Observe == nil {
		return
	}
	var e struct {
		DetailType string          `json:"detail-type"`
		Detail     json.RawMessage `json:"detail"`
	}
	var about struct{ Bucket, Key string }
	if json.Unmarshal(payload, &e) == nil && json.Unmarshal(e.Detail, &about) == nil {
		about.Key, _ = url.PathUnescape(about.Key)
	}
	p.tell(Event, "events", media.Upload{Bucket: about.Bucket, Key: about.Key}, fmt.Sprintf("%s %s", e.DetailType, e.Detail))
}

func (p *Pipeline) lostEvent(_ []byte, err error) {
	p.tell(LostEvent, "events", media.Upload{}, err.Error())
}
