package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
)

// letter is one dead letter.
type letter struct {
	id, receipt string
	sent        time.Time // first, which is what SQS counts from
	reason      string
	request     event.Request
	err         error // why it cannot be read
}

// read takes a message apart. The sender of an event that could not be
// delivered says why in attributes, the one of an invocation that failed in the
// message.
func read(m types.Message) letter {
	l := letter{id: aws.ToString(m.MessageId), receipt: aws.ToString(m.ReceiptHandle)}
	if ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64); err == nil {
		l.sent = time.UnixMilli(ms).UTC()
	}
	body := []byte(aws.ToString(m.Body))
	message := event.DecodeMessage(body)
	l.request, l.err = message.Request, message.Err
	if message.Probe != "" {
		l.err = errProbe
	}
	if l.err != nil {
		l.reason = "unreadable: " + l.err.Error()
		return l
	}
	text := cmp.Or(failure(body), undelivered(m.MessageAttributes), "unknown")
	l.reason = media.Redact(alike(text))
	return l
}

// errProbe is why there is nothing to be done with a probe.
var errProbe = errors.New("a probe of the retry path, which is about no upload")

// failure is why an asynchronous invocation failed ("Capturing records of
// Lambda asynchronous invocations", AWS Lambda Developer Guide); "" where the
// message is none of one.
func failure(body []byte) string {
	var envelope struct {
		RequestContext struct {
			Condition string `json:"condition"`
		} `json:"requestContext"`
		ResponsePayload struct {
			ErrorMessage string `json:"errorMessage"`
		} `json:"responsePayload"`
	}
	_ = json.Unmarshal(body, &envelope) // what has another form says nothing
	condition, message := envelope.RequestContext.Condition, envelope.ResponsePayload.ErrorMessage
	if message == "" || condition == exhausted {
		return cmp.Or(message, condition)
	}
	return condition + ": " + message
}

// exhausted is the condition of every invocation that just failed.
const exhausted = "RetriesExhausted"

// undelivered is why EventBridge could not deliver an event ("Using dead-letter
// queues to process undelivered events in EventBridge", Amazon EventBridge User
// Guide).
func undelivered(attributes map[string]types.MessageAttributeValue) string {
	code, message := aws.ToString(attributes["ERROR_CODE"].StringValue), aws.ToString(attributes["ERROR_MESSAGE"].StringValue)
	return strings.Trim(code+": "+message, ": ")
}

// unlike is what differs from one failure to the next of the same reason:
// times, and words that may be ids.
var unlike = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\w{20,}`)

// alike is the text of a reason that failures of one kind have in common, on
// one line.
func alike(text string) string {
	text = unlike.ReplaceAllStringFunc(text, func(word string) string {
		if strings.ContainsAny(word, "0123456789") {
			return "…"
		}
		return word
	})
	return strings.Join(strings.Fields(text), " ")
}

// takes reports whether a dead letter is wanted.
func (f filter) takes(l letter, now time.Time) bool {
	switch {
	case !strings.Contains(strings.ToLower(l.reason), strings.ToLower(f.reason)):
	case !strings.HasPrefix(l.request.Upload.Key, f.prefix):
	case !f.Hold(now.Sub(l.sent)):
	default:
		return true
	}
	return false
}
