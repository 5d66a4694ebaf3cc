package sqs

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/scripts/local/aws/endpoint"
)

// poll receives up to most messages and hides them for a time. If there is
// none, it waits for one, and returns none after the wait or when ctx ends.
func (q *Queue) poll(ctx context.Context, most int, hide, wait time.Duration) []events.SQSMessage {
	waited := wait <= 0
	defer q.clock.AfterFunc(wait, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		waited = true
		q.changed.Broadcast()
	}).Stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	var records []events.SQSMessage
	_ = q.changed.Until(ctx, func() bool { // of a caller that has gone, nothing is received
		for _, d := range q.receive(most, hide) {
			records = append(records, q.record(d))
		}
		return len(records) > 0 || waited
	})
	return records
}

// received finds the message of a receipt; nil if it is gone or was received
// again since. The error is of what is no receipt. The caller holds the lock.
func (q *Queue) received(receipt string) (*message, error) {
	id, _, ok := strings.Cut(receipt, receiptMark)
	if !ok {
		return nil, errReceipt
	}
	if m := q.messages[id]; m != nil && m.receipt == receipt {
		return m, nil
	}
	return nil, nil
}

// deleteReceived removes the message of a receipt. As in SQS, an old receipt is
// no error, and removes nothing.
func (q *Queue) deleteReceived(receipt string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	m, err := q.received(receipt)
	if m != nil {
		q.delete(delivery{m, receipt})
	}
	return err
}

// changeVisibility hides a message in flight for so many seconds from now; for
// none, it is visible at once. Since it was received, it can be hidden for 12
// hours in all (Amazon SQS API Reference, "ChangeMessageVisibility").
func (q *Queue) changeVisibility(receipt string, seconds int) error {
	d, err := within("VisibilityTimeout", seconds, maxVisibility)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	m, err := q.received(receipt)
	switch {
	case err != nil:
		return err
	case m == nil || m.state != inFlight:
		return errNotInFlight
	case q.clock.Now().Add(d).Sub(m.receivedAt) > maxVisibility:
		return invalid("VisibilityTimeout: with %d more, the message would be hidden for over 12 hours in all", seconds)
	}
	if d > 0 {
		q.hide(m, inFlight, d)
		return nil
	}
	m.wake.Stop()
	q.show(m)
	return nil
}

// stringType is the type of all attributes here.
const stringType = "String"

// The names of system attributes.
const (
	sentAt          = "SentTimestamp"
	receiveCount    = "ApproximateReceiveCount"
	firstReceivedAt = "ApproximateFirstReceiveTimestamp"
	senderID        = "SenderId"
	sourceARN       = "DeadLetterQueueSourceArn"
)

// wire is a received message as ReceiveMessage gives it, with the attributes
// that were asked for.
func wire(r events.SQSMessage, system, names []string) map[string]any {
	answer := map[string]any{"MessageId": r.MessageId, "ReceiptHandle": r.ReceiptHandle, "Body": r.Body, "MD5OfBody": r.Md5OfBody}
	maps.DeleteFunc(r.Attributes, func(name, _ string) bool { return !slices.Contains(system, name) })
	if len(r.Attributes) > 0 {
		answer["Attributes"] = r.Attributes
	}
	attributes := map[string]any{}
	for name, value := range r.MessageAttributes {
		if slices.Contains(names, name) {
			attributes[name] = map[string]string{"DataType": value.DataType, "StringValue": *value.StringValue}
		}
	}
	if len(attributes) > 0 {
		answer["MessageAttributes"] = attributes
	}
	return answer
}

// failure is the entry of a batch that failed.
func failure(id string, err error) map[string]any {
	code, message := "InternalError", err.Error()
	if fault, ok := errors.AsType[*endpoint.Fault](err); ok {
		code, message = fault.Type, fault.Message
	}
	return map[string]any{"Id": id, "SenderFault": true, "Code": code, "Message": message}
}

func digest(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
