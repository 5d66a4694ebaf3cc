package sqs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// maxBatchBytes bounds the payload of one invocation, and recordBytes what a
// record takes beside its body (AWS Lambda Developer Guide, "Lambda quotas":
// 6 MB).
const (
	maxBatchBytes = 6 << 20
	recordBytes   = 2 << 10
)

// encodedBytes is about what a message takes in a payload.
func encodedBytes(m *message) int {
	body, _ := json.Marshal(m.body) // a string always encodes
	size := len(body) + recordBytes
	for name, value := range m.attributes {
		size += 2 * (len(name) + len(value))
	}
	return size
}

// payload is the event that a function gets (AWS Lambda Developer Guide, "Using
// Lambda with Amazon SQS").
func (q *Queue) payload(batch []delivery) ([]byte, error) {
	event := events.SQSEvent{Records: make([]events.SQSMessage, len(batch))}
	for i, d := range batch {
		event.Records[i] = q.record(d)
	}
	return json.Marshal(event)
}

func (q *Queue) record(d delivery) events.SQSMessage {
	record := events.SQSMessage{
		MessageId:     d.m.id,
		ReceiptHandle: d.receipt,
		Body:          d.m.body,
		Md5OfBody:     digest(d.m.body),
		Attributes: map[string]string{
			receiveCount:    strconv.Itoa(d.m.receives),
			sentAt:          strconv.FormatInt(d.m.sentAt.UnixMilli(), 10),
			firstReceivedAt: strconv.FormatInt(d.m.firstReceivedAt.UnixMilli(), 10),
			senderID:        "AIDALOCALRUN",
		},
		MessageAttributes: make(map[string]events.SQSMessageAttribute, len(d.m.attributes)),
		EventSource:       "aws:sqs",
		EventSourceARN:    q.cfg.ARN,
		AWSRegion:         region(q.cfg.ARN),
	}
	if d.m.source != "" {
		record.Attributes[sourceARN] = d.m.source
	}
	for name, value := range d.m.attributes {
		record.MessageAttributes[name] = events.SQSMessageAttribute{
			StringValue:      &value,
			StringListValues: []string{},
			BinaryListValues: [][]byte{},
			DataType:         stringType,
		}
	}
	return record
}

// region is the fourth part of an ARN; empty if there is none.
func region(arn string) string {
	parts := strings.SplitN(arn, ":", 5)
	if len(parts) < 5 {
		return ""
	}
	return parts[3]
}

var errMalformed = errors.New("sqs: malformed batch response")

// failures reads from a function's answer which messages it could not handle.
// An empty answer, null and an empty list say none; an answer that cannot be
// understood is an error, and fails the batch (AWS Lambda Developer Guide,
// "Handling errors for an SQS event source in Lambda").
func failures(answer []byte) (map[string]bool, error) {
	failed := map[string]bool{}
	answer = bytes.TrimSpace(answer)
	if len(answer) == 0 || string(answer) == `""` {
		return failed, nil
	}
	var response events.SQSEventResponse
	if err := json.Unmarshal(answer, &response); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	for _, failure := range response.BatchItemFailures {
		if failure.ItemIdentifier == "" {
			return nil, fmt.Errorf("%w: a failure without itemIdentifier", errMalformed)
		}
		failed[failure.ItemIdentifier] = true
	}
	return failed, nil
}
