// Package event is the events that dispatch takes, in the envelopes in which
// AWS delivers them, and the event pattern of the rule that sends it S3's.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ittybit-media/handlers/media"
)

// Source is the source of the events that the pipeline sends itself.
const Source = "ittybit-media"

// What a person or a script can ask dispatch for, as the detail-type of an
// event of [Source].
const (
	Backfill = "Backfill" // an object that was there before the pipeline
	Redrive  = "Redrive"  // an upload from the dead letters
	Retry    = "Retry"    // another attempt at jobs that failed or were rejected
)

// Probe is the detail-type of an event of [Source] that is about no upload: it
// proves the way through the retry queue and back, by failing once.
const Probe = "Probe"

const (
	s3Source     = "aws.s3"
	s3DetailType = "Object Created"
	sqsSource    = "aws:sqs"
)

// Request asks for the jobs of one upload.
type Request struct {
	Upload  media.Upload
	Attempt int
	Jobs    []string // names of the wanted jobs; nil: all of the route's
	// Direct: S3's own event, not yet tried by anyone. Any other request may be
	// the repetition of one that made jobs before it failed.
	Direct bool
}

// Wants reports whether the request is for the job of that name.
func (r Request) Wants(job string) bool {
	return r.Jobs == nil || slices.Contains(r.Jobs, job)
}

// Message is one request of a payload, a probe, or the reason why it cannot be
// read. An unreadable message still has the bucket and key of its upload where
// it named them.
type Message struct {
	ID      string // the queue's name for the message; "" when invoked directly
	Request Request
	Probe   string // the id of a probe, which has no request; "": it is none
	Err     error
}

// Payload is what one invocation of dispatch was given.
type Payload struct {
	Queue    bool // a batch from the retry queue, to be answered message by message
	Messages []Message
}

// wire has every field by which the forms of a payload are told apart.
type wire struct {
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Time       time.Time       `json:"time"`
	Detail     json.RawMessage `json:"detail"`

	Records []struct {
		MessageID   string `json:"messageId"`
		Body        string `json:"body"`
		EventSource string `json:"eventSource"`
	} `json:"Records"`

	RequestPayload json.RawMessage `json:"requestPayload"`
}

type wireDetail struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key       string `json:"key"`
		Size      *int64 `json:"size"`
		ETag      string `json:"etag"`
		VersionID string `json:"version-id"`
		Sequencer string `json:"sequencer"`
	} `json:"object"`

	Attempt int      `json:"attempt"`
	Jobs    []string `json:"jobs"`
}

type probeDetail struct {
	Probe string `json:"probe"`
}

// maxProbeID is the longest id of a probe, in bytes. With its alphabet it keeps
// to what log lines and their filters take as it is.
const maxProbeID = 64

func validProbeID(id string) bool {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	return id != "" && len(id) <= maxProbeID && strings.Trim(id, alphabet) == ""
}

// DecodePayload reads every form in which an upload reaches dispatch: S3's
// event as EventBridge delivers it, our own events, and batches of the retry
// queue whose messages are either of these or the envelope in which Lambda
// sends a failed asynchronous invocation to its destination ("Capturing records
// of Lambda asynchronous invocations", AWS Lambda Developer Guide).
//
// A message that cannot be read carries its own error and leaves the others of
// its batch alone.
func DecodePayload(payload []byte) (Payload, error) {
	var w wire
	if err := json.Unmarshal(payload, &w); err != nil {
		return Payload{}, fmt.Errorf("the payload is not an event: %w", media.JSONError(err))
	}
	if w.Records == nil {
		m := w.message()
		m.Request.Direct = m.Err == nil && w.Source == s3Source
		return Payload{Messages: []Message{m}}, nil
	}
	p := Payload{Queue: true, Messages: make([]Message, len(w.Records))}
	for i, record := range w.Records {
		if record.EventSource != sqsSource {
			return Payload{}, fmt.Errorf("Records[%d].eventSource is %q: dispatch takes batches of an SQS queue only", i, record.EventSource)
		}
		p.Messages[i] = DecodeMessage([]byte(record.Body))
		p.Messages[i].ID = record.MessageID
	}
	return p, nil
}

// DecodeMessage reads the body of one message of the retry queue or the dead
// letters, as [DecodePayload] does with those of a batch.
func DecodeMessage(body []byte) Message {
	var w wire
	if err := json.Unmarshal(body, &w); err != nil {
		return Message{Err: fmt.Errorf("the message is not an event: %w", media.JSONError(err))}
	}
	if w.RequestPayload == nil {
		return w.message()
	}
	var inner wire
	if err := json.Unmarshal(w.RequestPayload, &inner); err != nil {
		return Message{Err: fmt.Errorf("the envelope's requestPayload is not an event: %w", media.JSONError(err))}
	}
	return inner.message()
}

func (w wire) message() (m Message) {
	if w.Source == Source && w.DetailType == Probe {
		m.Probe, m.Err = w.probe()
	} else {
		m.Request, m.Err = w.request()
	}
	return m
}

func (w wire) probe() (string, error) {
	var d probeDetail
	if err := json.Unmarshal(w.Detail, &d); err != nil {
		return "", fmt.Errorf("the probe's detail is unreadable: %w", media.JSONError(err))
	}
	if !validProbeID(d.Probe) {
		return "", errors.New("detail.probe is no id of 1 to 64 letters, digits and -")
	}
	return d.Probe, nil
}

func (w wire) request() (Request, error) {
	ours := w.Source == Source && (w.DetailType == Backfill || w.DetailType == Redrive || w.DetailType == Retry)
	if !ours && !(w.Source == s3Source && w.DetailType == s3DetailType) {
		return Request{}, fmt.Errorf("source %q with detail-type %q is neither S3's %q nor a %s, %s, %s or %s of %q",
			media.Redact(w.Source), media.Redact(w.DetailType), s3DetailType, Backfill, Redrive, Retry, Probe, Source)
	}
	var d wireDetail
	if err := json.Unmarshal(w.Detail, &d); err != nil {
		return Request{}, fmt.Errorf("the event's detail is unreadable: %w", media.JSONError(err))
	}
	if d.Bucket.Name == "" || d.Object.Key == "" {
		return Request{}, errors.New("the event has no detail.bucket.name or no detail.object.key")
	}
	r := Request{Upload: media.Upload{
		Bucket:    d.Bucket.Name,
		Key:       d.Object.Key,
		Size:      media.UnknownSize,
		ETag:      d.Object.ETag,
		VersionID: d.Object.VersionID,
		Sequencer: d.Object.Sequencer,
		Time:      w.Time,
	}.FromS3()}
	if d.Object.Size != nil {
		r.Upload.Size = *d.Object.Size
	}
	if ours {
		if d.Attempt < 0 {
			return r, fmt.Errorf("detail.attempt is %d: it counts up from 0", d.Attempt)
		}
		r.Attempt, r.Jobs = d.Attempt, d.Jobs
	}
	return r, nil
}

// EncodeRequest is the event of [Source] that asks for r: the counterpart of
// [DecodePayload], for the scripts that invoke dispatch themselves.
func EncodeRequest(detailType string, r Request) ([]byte, error) {
	var d wireDetail
	d.Bucket.Name = r.Upload.Bucket
	d.Object.Key = r.Upload.Key
	if r.Upload.Size != media.UnknownSize {
		d.Object.Size = &r.Upload.Size
	}
	d.Object.ETag = r.Upload.ETag
	d.Object.VersionID = r.Upload.VersionID
	d.Object.Sequencer = r.Upload.Sequencer
	d.Attempt, d.Jobs = r.Attempt, r.Jobs
	return encode(detailType, r.Upload.Time, d)
}

// EncodeProbe is the event of a probe. Dispatch is done with it once it comes
// from the retry queue, and fails at it before that.
func EncodeProbe(id string, at time.Time) ([]byte, error) {
	return encode(Probe, at, probeDetail{id})
}

func encode(detailType string, at time.Time, detail any) ([]byte, error) {
	return media.MarshalJSON(struct {
		Source     string    `json:"source"`
		DetailType string    `json:"detail-type"`
		Time       time.Time `json:"time"`
		Detail     any       `json:"detail"`
	}{Source, detailType, at.UTC(), detail})
}
