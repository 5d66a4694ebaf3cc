package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/sqs"
	"ittybit-media/scripts/local/clock"
)

// served is a queue and its dead letters behind the API.
type served struct {
	t           *testing.T
	clock       *clock.Clock
	queue, dead *sqs.Queue
	url         string // of the queue
	server      *endpoint.Server
	*awssqs.Client
}

const deadARN = "arn:aws:sqs:eu-west-1:123456789012:dead"

func serve(t *testing.T, cfg sqs.Config) *served {
	t.Helper()
	s := &served{t: t, clock: clock.New()}
	s.dead = newQueue(t, s.clock, sqs.Config{Name: "dead", ARN: deadARN, Retention: 14 * 24 * time.Hour})
	if cfg.MaxReceives > 0 {
		cfg.DeadLetter = s.dead
	}
	s.queue = newQueue(t, s.clock, cfg)
	e, client := endpointtest.Serve(t, sqs.API(s.queue, s.dead))
	s.server, s.Client = e, awssqs.NewFromConfig(client)
	s.url = s.queue.URL(*client.BaseEndpoint)
	return s
}

func (s *served) receive(change ...func(*awssqs.ReceiveMessageInput)) []types.Message {
	s.t.Helper()
	in := &awssqs.ReceiveMessageInput{QueueUrl: &s.url, MaxNumberOfMessages: 10}
	for _, c := range change {
		c(in)
	}
	out, err := s.ReceiveMessage(s.t.Context(), in)
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Messages
}

func TestQueuesAreFound(t *testing.T) {
	t.Parallel()
	s := serve(t, sqs.Config{})
	const none = "AWS.SimpleQueueService.NonExistentQueue"
	url := aws.String(s.url + "s")
	for operation, err := range map[string]error{
		"GetQueueAttributes":           second(s.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{QueueUrl: url})),
		"ReceiveMessage":               second(s.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: url})),
		"DeleteMessage":                second(s.DeleteMessage(t.Context(), &awssqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: aws.String("r")})),
		"ChangeMessageVisibilityBatch": second(s.ChangeMessageVisibilityBatch(t.Context(), &awssqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{{Id: aws.String("1"), ReceiptHandle: aws.String("r")}}})),
	} {
		if _, ok := errors.AsType[*types.QueueDoesNotExist](err); !ok || endpointtest.Code(err) != none {
			t.Errorf("%s: %v", operation, err)
		}
		if s.server.Calls()["SQS."+operation] != 1 {
			t.Errorf("%s was not counted", operation)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestQueueAttributes(t *testing.T) {
	t.Parallel()
	s := serve(t, sqs.Config{Delay: time.Minute, Visibility: 15 * time.Minute, Retention: 14 * 24 * time.Hour, MaxReceives: 3})
	for _, body := range []string{"flies", "waits", "is late"} {
		send(t, s.queue, body)
	}
	s.clock.Advance(time.Minute)
	if n := len(s.receive(func(in *awssqs.ReceiveMessageInput) { in.MaxNumberOfMessages = 1 })); n != 1 {
		t.Fatalf("received %d", n)
	}
	send(t, s.queue, "is delayed")
	out, err := s.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{QueueUrl: &s.url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesNotVisible": "1", "ApproximateNumberOfMessagesDelayed": "1",
		"QueueArn": arn, "RedrivePolicy": `{"deadLetterTargetArn":"` + deadARN + `","maxReceiveCount":3}`,
	} {
		if out.Attributes[name] != want {
			t.Errorf("%s is %q, want %q", name, out.Attributes[name], want)
		}
	}
	two := []types.QueueAttributeName{types.QueueAttributeNameQueueArn, types.QueueAttributeNameRedrivePolicy}
	if out, err = s.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{QueueUrl: &s.url, AttributeNames: two}); err != nil || len(out.Attributes) != 2 {
		t.Errorf("two: %v, %v", out, err)
	}
	dead := strings.Replace(s.url, "/retry", "/dead", 1)
	if out, err = s.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{QueueUrl: &dead, AttributeNames: two}); err != nil || !maps.Equal(out.Attributes, map[string]string{"QueueArn": deadARN}) {
		t.Errorf("a queue without dead letters: %v, %v", out, err)
	}
	if _, err := s.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{QueueUrl: &s.url, AttributeNames: []types.QueueAttributeName{"Colour"}}); endpointtest.Code(err) != "InvalidAttributeName" {
		t.Errorf("an attribute that is not there: %v", err)
	}
}

// The SDK compares the digests of bodies itself.
func TestAMessagesWay(t *testing.T) {
	t.Parallel()
	s := serve(t, sqs.Config{MaxReceives: 1, Visibility: time.Minute})
	begun := s.clock.Now().Truncate(time.Millisecond)
	id, err := s.queue.Send(`{"key":"é"}`, map[string]string{"ERROR_CODE": "NO_PERMISSIONS", "RULE_ARN": "arn:é"})
	if err != nil {
		t.Fatal(err)
	}
	everything := func(in *awssqs.ReceiveMessageInput) {
		in.MessageSystemAttributeNames = []types.MessageSystemAttributeName{"All"}
		in.MessageAttributeNames = []string{"ERROR_CODE", "RULE_ARN"}
	}
	got := s.receive(everything)
	if len(got) != 1 {
		t.Fatalf("received %v", got)
	}
	m := got[0]
	if *m.MessageId != id || *m.Body != `{"key":"é"}` || m.Attributes["ApproximateReceiveCount"] != "1" ||
		*m.MessageAttributes["ERROR_CODE"].StringValue != "NO_PERMISSIONS" {
		t.Errorf("message %+v", m)
	}
	var at int64
	if _, err := fmt.Sscan(m.Attributes["SentTimestamp"], &at); err != nil || time.UnixMilli(at).Before(begun) || time.UnixMilli(at).After(s.clock.Now()) {
		t.Errorf("sent at %s", m.Attributes["SentTimestamp"])
	}
	if _, ok := m.Attributes["DeadLetterQueueSourceArn"]; ok {
		t.Error("it comes from another queue")
	}
	// Received as often as it may be, it is a dead letter the next time.
	s.clock.Advance(time.Minute)
	if again := s.receive(); len(again) != 0 {
		t.Errorf("received again: %v", again)
	}
	s.url = strings.Replace(s.url, "/retry", "/dead", 1)
	if got = s.receive(everything); len(got) != 1 || got[0].Attributes["DeadLetterQueueSourceArn"] != arn || got[0].Attributes["SentTimestamp"] != m.Attributes["SentTimestamp"] ||
		*got[0].MessageAttributes["RULE_ARN"].StringValue != "arn:é" {
		t.Fatalf("the dead letters have %+v", got)
	}
	if _, err := s.DeleteMessage(t.Context(), &awssqs.DeleteMessageInput{QueueUrl: &s.url, ReceiptHandle: got[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	if left := s.dead.Messages(); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

func TestAttributesAreGivenWhenAskedFor(t *testing.T) {
	t.Parallel()
	s := serve(t, sqs.Config{})
	if _, err := s.queue.Send("x", map[string]string{"a.one": "1", "a.two": "2", "b": "3"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ ask, want []string }{{nil, nil}, {[]string{"b", "a.one"}, []string{"a.one", "b"}}, {[]string{"a"}, nil}} {
		got := s.receive(func(in *awssqs.ReceiveMessageInput) {
			in.MessageAttributeNames = tt.ask
			in.MessageSystemAttributeNames = []types.MessageSystemAttributeName{"SenderId"}
		})
		if len(got) != 1 || !slices.Equal(slices.Sorted(maps.Keys(got[0].MessageAttributes)), tt.want) || len(got[0].Attributes) != 1 || got[0].Attributes["SenderId"] == "" {
			t.Errorf("asked for %q: %+v", tt.ask, got)
		}
		s.clock.Advance(30 * time.Second)
	}
	if got := s.receive(); len(got) != 1 || got[0].Attributes != nil {
		t.Errorf("without asking: %+v", got)
	}
}

func TestReceivingWaits(t *testing.T) {
	t.Parallel()
	s := serve(t, sqs.Config{})
	wait := func(in *awssqs.ReceiveMessageInput) { in.WaitTimeSeconds = 20 }
	begun := time.Now()
	if got := s.receive(wait); len(got) != 0 {
		t.Errorf("received %v", got)
	}
	// It is a moment, not twenty seconds.
	if took := time.Since(begun); took < 150*time.Millisecond || took > 15*time.Second {
		t.Errorf("an empty queue keeps one waiting for %v", took)
	}
	arrived := make(chan []types.Message)
	asked := make(chan struct{})
	s.server.Intercept(func(context.Context, endpoint.Call) error {
		close(asked)
		return nil
	})
	go func() {
		out, err := s.ReceiveMessage(context.WithoutCancel(t.Context()), &awssqs.ReceiveMessageInput{QueueUrl: &s.url, WaitTimeSeconds: 20})
		if err != nil {
			out = &awssqs.ReceiveMessageOutput{}
		}
		arrived <- out.Messages
	}()
	<-asked
	send(t, s.queue, "x")
	if got := <-arrived; len(got) != 1 {
		t.Errorf("received %v", got)
	}
}

// A caller that has gone must not have a message hidden for it.
func TestReceivingEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	s := serve(t, sqs.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	s.server.Intercept(func(request context.Context, _ endpoint.Call) error {
		cancel()
		<-request.Done()
		close(gone)
		return nil
	})
	if _, err := s.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: &s.url, WaitTimeSeconds: 20}); err == nil {
		t.Error("it was not cancelled")
	}
	<-gone
	send(t, s.queue, "x")
	s.server.Intercept(nil)
	if got := s.receive(); len(got) != 1 {
		t.Errorf("received %v", got)
	}
}

func TestWhatTheAPIRefuses(t *testing.T) {
	t.Parallel()
	s := serve(t, sqs.Config{})
	receive := func(change func(*awssqs.ReceiveMessageInput)) error {
		in := &awssqs.ReceiveMessageInput{QueueUrl: &s.url}
		change(in)
		return second(s.ReceiveMessage(t.Context(), in))
	}
	for why, tt := range map[string]struct {
		err  error
		code string
	}{
		"eleven messages": {receive(func(in *awssqs.ReceiveMessageInput) { in.MaxNumberOfMessages = 11 }), "InvalidParameterValue"},
		"a long wait":     {receive(func(in *awssqs.ReceiveMessageInput) { in.WaitTimeSeconds = 21 }), "InvalidParameterValue"},
		"an unknown attribute": {receive(func(in *awssqs.ReceiveMessageInput) {
			in.MessageSystemAttributeNames = []types.MessageSystemAttributeName{"Colour"}
		}), "InvalidAttributeName"},
		"of FIFO queues":       {receive(func(in *awssqs.ReceiveMessageInput) { in.ReceiveRequestAttemptId = aws.String("1") }), "SerializationException"},
		"an unknown operation": {second(s.PurgeQueue(t.Context(), &awssqs.PurgeQueueInput{QueueUrl: &s.url})), "UnknownOperationException"},
	} {
		if endpointtest.Code(tt.err) != tt.code {
			t.Errorf("%s: %v, want %s", why, tt.err, tt.code)
		}
	}
}

func TestFaultsOfTheAPI(t *testing.T) {
	t.Parallel()
	s := serve(t, sqs.Config{})
	send(t, s.queue, "x")
	for _, fault := range []*endpoint.Fault{
		{Type: "AccessDeniedException", Message: "not allowed", Status: 403},
		endpoint.Throttled(endpoint.Call{Service: endpoint.ServiceSQS}),
		{Type: "ServiceUnavailable", Message: "lost", Status: 503, Applied: true},
	} {
		s.server.Intercept(func(_ context.Context, c endpoint.Call) error {
			if c.Service != endpoint.ServiceSQS || c.AccessKey != endpointtest.AccessKey {
				t.Errorf("call %+v", c)
			}
			return fault
		})
		if _, err := s.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &s.url}); endpointtest.Code(err) != fault.Type {
			t.Errorf("%v, want %s", err, fault.Type)
		}
	}
	if d := s.queue.Depth(); d != (sqs.Depth{InFlight: 1}) {
		t.Errorf("depth %+v, want the one whose answer was lost", d)
	}
}
