package sqs_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/sqs"
)

func TestVisibility(t *testing.T) {
	t.Parallel()
	s := serve(t, sqs.Config{Visibility: time.Minute})
	send(t, s.queue, "x")
	change := func(receipt string, seconds int32) string {
		out, err := s.ChangeMessageVisibilityBatch(t.Context(), &awssqs.ChangeMessageVisibilityBatchInput{
			QueueUrl: &s.url,
			Entries:  []types.ChangeMessageVisibilityBatchRequestEntry{{Id: aws.String("1"), ReceiptHandle: &receipt, VisibilityTimeout: seconds}},
		})
		switch {
		case err != nil:
			return endpointtest.Code(err)
		case len(out.Failed) == 1 && *out.Failed[0].Id == "1" && out.Failed[0].SenderFault:
			return *out.Failed[0].Code
		}
		return ""
	}
	hidden := func(d time.Duration) {
		t.Helper()
		s.clock.Advance(d - time.Second)
		if got := s.receive(); len(got) != 0 {
			t.Errorf("it is visible before %v", d)
		}
		s.clock.Advance(2 * time.Second)
	}
	first := *s.receive(func(in *awssqs.ReceiveMessageInput) { in.VisibilityTimeout = 600 })[0].ReceiptHandle
	hidden(10 * time.Minute)
	if code := change(first, 60); code != "MessageNotInflight" {
		t.Errorf("of a visible message: %s", code)
	}
	receipt := *s.receive()[0].ReceiptHandle // for the queue's minute
	s.clock.Advance(30 * time.Second)
	if code := change(receipt, 60); code != "" {
		t.Fatal(code)
	}
	hidden(time.Minute)
	receipt = *s.receive()[0].ReceiptHandle
	if code := change(receipt, 0); code != "" {
		t.Fatal(code)
	}
	got := s.receive()
	if len(got) != 1 {
		t.Fatal("made visible, it is not")
	}
	receipt = *got[0].ReceiptHandle
	s.clock.Advance(30 * time.Second)
	for why, code := range map[string]string{
		"negative":             change(receipt, -1),
		"over twelve hours":    change(receipt, 43201),
		"twelve hours in all":  change(receipt, 43200),
		"a receive's negative": endpointtest.Code(second(s.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &s.url, VisibilityTimeout: -1}))),
	} {
		if code != "InvalidParameterValue" {
			t.Errorf("%s: %s", why, code)
		}
	}
	if code := change(first, 1); code != "MessageNotInflight" {
		t.Errorf("an old receipt: %s", code)
	}
	if code := change("no receipt", 1); code != "ReceiptHandleIsInvalid" {
		t.Errorf("no receipt: %s", code)
	}
	// An old receipt deletes nothing, and the latest does after its time, too.
	for range 2 {
		if _, err := s.DeleteMessage(t.Context(), &awssqs.DeleteMessageInput{QueueUrl: &s.url, ReceiptHandle: &first}); err != nil {
			t.Error(err)
		}
	}
	if n := len(s.queue.Messages()); n != 1 {
		t.Fatalf("%d messages", n)
	}
	s.clock.Advance(time.Hour)
	if _, err := s.DeleteMessage(t.Context(), &awssqs.DeleteMessageInput{QueueUrl: &s.url, ReceiptHandle: &receipt}); err != nil || len(s.queue.Messages()) != 0 {
		t.Errorf("%v; %v is left", err, s.queue.Messages())
	}
	if _, err := s.DeleteMessage(t.Context(), &awssqs.DeleteMessageInput{QueueUrl: &s.url, ReceiptHandle: aws.String("no receipt")}); endpointtest.Code(err) != "ReceiptHandleIsInvalid" {
		t.Errorf("deleting with no receipt: %v", err)
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	s := serve(t, sqs.Config{Visibility: time.Minute})
	for i := range 12 {
		send(t, s.queue, fmt.Sprint(i))
	}
	got := s.receive()
	if len(got) != 10 {
		t.Fatalf("received %d", len(got))
	}
	var changes []types.ChangeMessageVisibilityBatchRequestEntry
	for i, m := range got[:5] {
		changes = append(changes, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(fmt.Sprint("c", i)), ReceiptHandle: m.ReceiptHandle})
	}
	changes[4].ReceiptHandle = aws.String("no receipt")
	changed, err := s.ChangeMessageVisibilityBatch(t.Context(), &awssqs.ChangeMessageVisibilityBatchInput{QueueUrl: &s.url, Entries: changes})
	if err != nil || len(changed.Successful) != 4 || len(changed.Failed) != 1 || *changed.Failed[0].Id != "c4" {
		t.Errorf("%+v, %v", changed, err)
	}
	if n := len(s.receive()); n != 4+2 {
		t.Errorf("%d are visible, not the four and the two", n)
	}
	for why, entries := range map[string][]types.ChangeMessageVisibilityBatchRequestEntry{
		"EmptyBatchRequest":            {},
		"TooManyEntriesInBatchRequest": slices.Repeat(changes, 3),
		"BatchEntryIdsNotDistinct":     slices.Repeat(changes[:1], 2),
	} {
		_, err := s.ChangeMessageVisibilityBatch(t.Context(), &awssqs.ChangeMessageVisibilityBatchInput{QueueUrl: &s.url, Entries: entries})
		if endpointtest.Code(err) != "AWS.SimpleQueueService."+why {
			t.Errorf("%v, want %s", err, why)
		}
	}
}
