package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/scripts/local/aws/sqs"
	"ittybit-media/scripts/local/clock"
)

func TestARecordIsWhatLambdaWouldBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		q := newQueue(t, c, sqs.Config{Delay: time.Minute})
		sent := c.Now().UnixMilli()
		id, err := q.Send(`{"a":"<é>"}`, map[string]string{"ERROR_CODE": "NO_PERMISSIONS"})
		if err != nil {
			t.Fatal(err)
		}
		var f function
		consume(t, q, sqs.Mapping{BatchSize: 10, MaxConcurrency: 1, Invoke: f.invoke})
		idle(t, q)
		if len(f.records()) != 0 {
			t.Fatal("received before the delay was over")
		}
		wantDepth(t, q, sqs.Depth{Delayed: 1})

		c.Advance(time.Minute)
		idle(t, q)

		records := f.records()
		if len(records) != 1 {
			t.Fatalf("%d records, want 1", len(records))
		}
		r := records[0]
		if r.ReceiptHandle == "" {
			t.Error("no receipt handle")
		}
		r.ReceiptHandle = ""
		attribute := r.MessageAttributes["ERROR_CODE"]
		if attribute.StringValue == nil || *attribute.StringValue != "NO_PERMISSIONS" || attribute.DataType != "String" {
			t.Errorf("attribute %+v", attribute)
		}
		r.MessageAttributes = nil
		want := events.SQSMessage{
			MessageId: id, Body: `{"a":"<é>"}`, Md5OfBody: "b92ba41755973cd1c20e9fd4c0173ab3",
			Attributes: map[string]string{
				"ApproximateReceiveCount":          "1",
				"SentTimestamp":                    strconv.FormatInt(sent, 10),
				"ApproximateFirstReceiveTimestamp": strconv.FormatInt(sent+60_000, 10),
				"SenderId":                         "AIDALOCALRUN",
			},
			EventSource: "aws:sqs", EventSourceARN: arn, AWSRegion: "eu-west-1",
		}
		if got, want := fmt.Sprintf("%+v", r), fmt.Sprintf("%+v", want); got != want {
			t.Errorf("record\n%s, want\n%s", got, want)
		}
		wantDepth(t, q, sqs.Depth{})
	})
}

func TestAnswers(t *testing.T) {
	failing := func(id string) string { return fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, id) }
	for _, test := range []struct {
		name   string
		answer func(ids []string) (string, error)
		left   int // of two
	}{
		{"nothing", func([]string) (string, error) { return "", nil }, 0},
		{"null", func([]string) (string, error) { return "null", nil }, 0},
		{"an empty string", func([]string) (string, error) { return ` "" `, nil }, 0},
		{"an empty object", func([]string) (string, error) { return "{}", nil }, 0},
		{"an empty list", func([]string) (string, error) { return `{"batchItemFailures":[]}`, nil }, 0},
		{"a null list", func([]string) (string, error) { return `{"batchItemFailures":null}`, nil }, 0},
		{"one failed", func(ids []string) (string, error) { return failing(ids[1]), nil }, 1},
		{"an unknown id", func([]string) (string, error) { return failing("other"), nil }, 2},
		{"a known and an unknown id", func(ids []string) (string, error) {
			return `{"batchItemFailures":[{"itemIdentifier":"other"},{"itemIdentifier":"` + ids[0] + `"}]}`, nil
		}, 2},
		{"an empty id", func([]string) (string, error) { return failing(""), nil }, 2},
		{"a null id", func([]string) (string, error) { return `{"batchItemFailures":[{"itemIdentifier":null}]}`, nil }, 2},
		{"a wrong key", func([]string) (string, error) { return `{"batchItemFailures":[{"id":"x"}]}`, nil }, 2},
		{"no JSON", func([]string) (string, error) { return "ok", nil }, 2},
		{"a word", func([]string) (string, error) { return `"ok"`, nil }, 2},
		{"an error", func([]string) (string, error) { return "", errors.New("down") }, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clock.New()
				q := newQueue(t, c, sqs.Config{Visibility: time.Minute})
				send(t, q, "one")
				send(t, q, "two")
				f := function{answer: func(e events.SQSEvent) (string, error) {
					return test.answer([]string{e.Records[0].MessageId, e.Records[1].MessageId})
				}}
				consume(t, q, sqs.Mapping{BatchSize: 10, MaxConcurrency: 1, Invoke: f.invoke})
				idle(t, q)
				wantDepth(t, q, sqs.Depth{InFlight: test.left})
			})
		})
	}
}

// The journey of a message that never succeeds, with the pipeline's own
// numbers.
func TestRetriesThenDeadLettersThenExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const retention = 14 * 24 * time.Hour
		c := clock.New()
		start := c.Now()
		var seen []sqs.Event
		observe := func(e sqs.Event) { seen = append(seen, e) }
		dead := newQueue(t, c, sqs.Config{Name: "dead", ARN: arn + "-dead", Retention: retention, Observe: observe})
		q := newQueue(t, c, sqs.Config{
			Delay: time.Minute, Visibility: 15 * time.Minute, Retention: retention,
			MaxReceives: 288, DeadLetter: dead, Observe: observe,
		})
		f := function{answer: func(events.SQSEvent) (string, error) { return "", errors.New("down") }}
		consume(t, q, sqs.Mapping{BatchSize: 10, MaxConcurrency: 5, Invoke: f.invoke})
		id, err := q.Send("poison", map[string]string{"k": "v"})
		if err != nil {
			t.Fatal(err)
		}

		var tries []time.Duration
		for dead.Depth().Visible == 0 {
			at, ok := c.Next()
			if !ok {
				t.Fatal("nothing is due, and the message is not in the dead letters")
			}
			c.Advance(at.Sub(c.Now()))
			idle(t, q)
			if n := len(f.records()); n > len(tries) {
				tries = append(tries, c.Now().Sub(start))
			}
		}
		if len(tries) != 288 || tries[0] != time.Minute || tries[1] != 16*time.Minute {
			t.Errorf("%d tries, the first at %v", len(tries), tries[:min(2, len(tries))])
		}
		if got := c.Now().Sub(start); got != time.Minute+72*time.Hour {
			t.Errorf("dead after %v, want 72h1m", got)
		}
		if last := f.records()[287]; last.Attributes["ApproximateReceiveCount"] != "288" {
			t.Errorf("the last try was number %s", last.Attributes["ApproximateReceiveCount"])
		}
		wantDepth(t, q, sqs.Depth{})
		letters := dead.Messages()
		if len(letters) != 1 || letters[0].ID != id || letters[0].Body != "poison" || letters[0].Attributes["k"] != "v" || !letters[0].SentAt.Equal(start) {
			t.Errorf("dead letters %+v", letters)
		}

		// Its age goes on counting from the first send.
		c.Advance(start.Add(retention).Sub(c.Now()) - 1)
		wantDepth(t, dead, sqs.Depth{Visible: 1})
		c.Advance(1)
		wantDepth(t, dead, sqs.Depth{})

		counts := map[string]int{}
		for _, e := range seen {
			counts[e.Queue+" "+string(e.Kind)]++
			if e.MessageID != id {
				t.Errorf("event of another message: %+v", e)
			}
		}
		if want := "map[dead expired:1 retry dead-lettered:1 retry received:288 retry sent:1]"; fmt.Sprint(counts) != want {
			t.Errorf("observed %v, want %s", counts, want)
		}
		if at, ok := c.Next(); ok {
			t.Errorf("a timer is left at %v", at)
		}
	})
}

func TestARecordOfADeadLetterNamesItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		dead := newQueue(t, c, sqs.Config{Name: "dead", ARN: arn + "-dead"})
		q := newQueue(t, c, sqs.Config{MaxReceives: 1, DeadLetter: dead})
		send(t, q, "poison")
		failing := function{answer: func(events.SQSEvent) (string, error) { return "no", nil }}
		consume(t, q, sqs.Mapping{BatchSize: 1, MaxConcurrency: 1, Invoke: failing.invoke})
		idle(t, q)
		c.Advance(30 * time.Second)
		idle(t, q)
		var f function
		consume(t, dead, sqs.Mapping{BatchSize: 1, MaxConcurrency: 1, Invoke: f.invoke})
		idle(t, dead)
		if records := f.records(); len(records) != 1 || records[0].Attributes["DeadLetterQueueSourceArn"] != arn {
			t.Errorf("records %+v", records)
		}
	})
}

func TestBatchesAndConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, clock.New(), sqs.Config{})
		var (
			mu            sync.Mutex
			running, most int
			sizes         []int
		)
		for i := range 95 {
			send(t, q, strconv.Itoa(i))
		}
		consume(t, q, sqs.Mapping{BatchSize: 10, MaxConcurrency: 5, Invoke: func(_ context.Context, payload []byte) ([]byte, error) {
			mu.Lock()
			running++
			most = max(most, running)
			sizes = append(sizes, strings.Count(string(payload), `"messageId"`))
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return nil, nil
		}})
		idle(t, q)
		if most != 5 {
			t.Errorf("%d invocations at a time, want 5", most)
		}
		if len(sizes) != 10 || slices.Max(sizes) != 10 {
			t.Errorf("batches of %v", sizes)
		}
		wantDepth(t, q, sqs.Depth{})
	})
}

func TestABatchFitsAPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, clock.New(), sqs.Config{})
		// Quotes take twice their size in a payload.
		for range 10 {
			send(t, q, strings.Repeat(`"`, sqs.MaxMessageBytes))
		}
		var largest, total int
		consume(t, q, sqs.Mapping{BatchSize: 10, MaxConcurrency: 1, Invoke: func(_ context.Context, payload []byte) ([]byte, error) {
			largest = max(largest, len(payload))
			total += strings.Count(string(payload), `"messageId"`)
			return nil, nil
		}})
		idle(t, q)
		if largest > 6<<20 || total != 10 {
			t.Errorf("%d messages, the largest payload %d bytes", total, largest)
		}
	})
}

// A message whose visibility timeout ends while it is still being handled is
// received again; the late success of the first try then deletes nothing.
func TestALateSuccessDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		q := newQueue(t, c, sqs.Config{Visibility: time.Minute})
		send(t, q, "slow")
		tries, release := make(chan int, 2), make(chan struct{})
		var mu sync.Mutex
		n := 0
		consume(t, q, sqs.Mapping{BatchSize: 1, MaxConcurrency: 2, Invoke: func(context.Context, []byte) ([]byte, error) {
			mu.Lock()
			n++
			try := n
			mu.Unlock()
			tries <- try
			if try == 1 {
				<-release
				return nil, nil
			}
			return nil, errors.New("failed")
		}})
		<-tries
		c.Advance(time.Minute)
		<-tries
		synctest.Wait()
		close(release)
		idle(t, q)
		wantDepth(t, q, sqs.Depth{InFlight: 1})
	})
}

func TestStoppingAConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		q := newQueue(t, c, sqs.Config{Visibility: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		started := make(chan struct{})
		done, err := q.Consume(ctx, sqs.Mapping{BatchSize: 1, MaxConcurrency: 1, Invoke: func(ctx context.Context, _ []byte) ([]byte, error) {
			close(started)
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		if err != nil {
			t.Fatal(err)
		}
		send(t, q, "one")
		send(t, q, "two")
		<-started
		cancel()
		<-done
		wantDepth(t, q, sqs.Depth{Visible: 1, InFlight: 1})
		// Without a consumer, what is visible keeps nobody waiting.
		idle(t, q)
		c.Advance(time.Minute)
		wantDepth(t, q, sqs.Depth{Visible: 2})
	})
}

func TestIdleGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, clock.New(), sqs.Config{})
		release := make(chan struct{})
		consume(t, q, sqs.Mapping{BatchSize: 1, MaxConcurrency: 1, Invoke: func(context.Context, []byte) ([]byte, error) {
			<-release
			return nil, nil
		}})
		send(t, q, "stuck")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Idle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Idle = %v", err)
		}
		close(release)
		idle(t, q)
	})
}
