package sqs_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/scripts/local/aws/sqs"
	"ittybit-media/scripts/local/clock"
)

const arn = "arn:aws:sqs:eu-west-1:123456789012:retry"

func newQueue(t *testing.T, c *clock.Clock, cfg sqs.Config) *sqs.Queue {
	t.Helper()
	if cfg.ARN == "" {
		cfg.Name, cfg.ARN = "retry", arn
	}
	q, err := sqs.New(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func send(t *testing.T, q *sqs.Queue, body string) string {
	t.Helper()
	id, err := q.Send(body, nil)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// consume runs a mapping until the test ends.
func consume(t *testing.T, q *sqs.Queue, m sqs.Mapping) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done, err := q.Consume(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// function is a function under test: it keeps what it was given and answers
// with what answer says.
type function struct {
	answer func(events.SQSEvent) (string, error)

	mu      sync.Mutex
	batches []events.SQSEvent
}

func (f *function) invoke(_ context.Context, payload []byte) ([]byte, error) {
	var event events.SQSEvent
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.batches = append(f.batches, event)
	f.mu.Unlock()
	if f.answer == nil {
		return nil, nil
	}
	answer, err := f.answer(event)
	return []byte(answer), err
}

func (f *function) records() []events.SQSMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []events.SQSMessage
	for _, batch := range f.batches {
		all = append(all, batch.Records...)
	}
	return all
}

func idle(t *testing.T, q *sqs.Queue) {
	t.Helper()
	if err := q.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wantDepth(t *testing.T, q *sqs.Queue, want sqs.Depth) {
	t.Helper()
	if got := q.Depth(); got != want {
		t.Errorf("depth %+v, want %+v", got, want)
	}
}
