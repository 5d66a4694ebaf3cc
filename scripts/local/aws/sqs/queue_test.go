package sqs_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/scripts/local/aws/sqs"
	"ittybit-media/scripts/local/clock"
)

func TestExpiryInEveryState(t *testing.T) {
	for _, state := range []string{"visible", "in flight", "delayed"} {
		t.Run(state, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clock.New()
				cfg := sqs.Config{Retention: time.Minute, Visibility: 12 * time.Hour}
				if state == "delayed" {
					cfg.Delay = 15 * time.Minute
				}
				q := newQueue(t, c, cfg)
				if state == "in flight" {
					f := function{answer: func(events.SQSEvent) (string, error) { return "no", nil }}
					consume(t, q, sqs.Mapping{BatchSize: 1, MaxConcurrency: 1, Invoke: f.invoke})
				}
				send(t, q, "short-lived")
				idle(t, q)
				c.Advance(time.Minute)
				wantDepth(t, q, sqs.Depth{})
				if left := q.Messages(); len(left) != 0 {
					t.Errorf("left: %+v", left)
				}
			})
		})
	}
}

func TestMessagesAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		q := newQueue(t, c, sqs.Config{})
		for _, body := range []string{"one", "two", "three"} {
			send(t, q, body)
			c.Advance(time.Second)
		}
		var got []string
		for _, m := range q.Messages() {
			got = append(got, m.Body)
		}
		if !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("messages %q", got)
		}
	})
}

func TestRefusals(t *testing.T) {
	c := clock.New()
	dead := newQueue(t, c, sqs.Config{})
	for _, test := range []struct {
		cfg  sqs.Config
		want string
	}{
		{sqs.Config{Delay: 16 * time.Minute}, "Delay: 16m0s"},
		{sqs.Config{Visibility: 13 * time.Hour}, "Visibility: 13h0m0s"},
		{sqs.Config{Retention: time.Second}, "Retention: 1s"},
		{sqs.Config{MaxReceives: 3}, "MaxReceives and DeadLetter"},
		{sqs.Config{DeadLetter: dead}, "MaxReceives and DeadLetter"},
	} {
		if _, err := sqs.New(c, test.cfg); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New(%+v) = %v, want %q", test.cfg, err, test.want)
		}
	}
	for _, body := range []string{"", strings.Repeat("a", sqs.MaxMessageBytes+1)} {
		if _, err := dead.Send(body, nil); err == nil {
			t.Errorf("a body of %d bytes was taken", len(body))
		}
	}
	if _, err := dead.Consume(t.Context(), sqs.Mapping{BatchSize: 1, MaxConcurrency: 1}); err == nil {
		t.Error("a mapping without a function was taken")
	}
}
