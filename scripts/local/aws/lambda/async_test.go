package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ittybit-media/scripts/local/aws/lambda"
)

func invokeAsync(t *testing.T, f *lambda.Function, payload string) string {
	t.Helper()
	id, err := f.InvokeAsync([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func idle(t *testing.T, f *lambda.Function) {
	t.Helper()
	if err := f.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAsynchronousEventsStartInOrder(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{MaxConcurrency: 1, OnFailure: func(envelope []byte) { t.Errorf("failed: %s", envelope) }})
	g := newGate(t)
	idle(t, f) // nothing to wait for
	for i := range 100 {
		invokeAsync(t, f, g.event(fmt.Sprint(i)))
	}
	if got := <-g.arrived; got != "0" {
		t.Errorf("event %s came first", got)
	}
	if s := f.Stats(); s.Busy != 1 || s.Queued < 98 {
		t.Errorf("with the first at work: %+v", s)
	}
	g.open()
	idle(t, f)
	for i := 1; i < 100; i++ {
		if got := <-g.arrived; got != fmt.Sprint(i) {
			t.Fatalf("event %s came as number %d", got, i)
		}
	}
	if s := f.Stats(); s.Invocations != 100 || s.Processes != 1 || s.Queued != 0 {
		t.Errorf("counted %+v", s)
	}
}

func TestManyAsynchronousEvents(t *testing.T) {
	t.Parallel()
	var succeeded atomic.Int64
	f := start(t, lambda.Config{MaxConcurrency: 4, Observe: func(e lambda.Event) {
		if e.Kind == lambda.InvocationEnded && e.Async && e.Failure == "" {
			succeeded.Add(1)
		}
	}})
	for range 500 {
		invokeAsync(t, f, `{"do":"echo"}`)
	}
	idle(t, f)
	if n := succeeded.Load(); n != 500 {
		t.Errorf("%d of 500 events succeeded", n)
	}
	if s := f.Stats(); s.Processes > 4 {
		t.Errorf("%d processes for 4 slots", s.Processes)
	}
}

func TestTheEnvelopeOfAFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, event, kind, message string }{
		{"an error", `{ "do":"fail",  "text":"<é> & \u00e9" }`, "errorString", "it was told to fail"},
		{"an exit", `{"do":"exit","code":1}`, "Runtime.ExitError", "RequestId: %s Error: Runtime exited with error: exit status 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			envelopes := make(chan []byte, 1)
			f := start(t, lambda.Config{
				OnFailure: func(envelope []byte) { envelopes <- envelope },
				Now:       func() time.Time { return time.Date(2024, 5, 1, 14, 0, 0, 7e6, time.FixedZone("", 7200)) },
			})
			id := invokeAsync(t, f, test.event)
			idle(t, f)
			if len(envelopes) != 1 {
				t.Fatalf("%d envelopes by the time it was idle", len(envelopes))
			}
			envelope := <-envelopes

			var got struct {
				Version         string
				Timestamp       string
				RequestContext  map[string]any
				RequestPayload  json.RawMessage
				ResponseContext map[string]any
				ResponsePayload functionError
			}
			if err := json.Unmarshal(envelope, &got); err != nil {
				t.Fatalf("%s: %v", envelope, err)
			}
			if string(got.RequestPayload) != test.event {
				t.Errorf("the event became %s", got.RequestPayload)
			}
			message := test.message
			if strings.Contains(message, "%s") {
				message = fmt.Sprintf(message, id)
			}
			if got.ResponsePayload != (functionError{message, test.kind}) {
				t.Errorf("response %+v", got.ResponsePayload)
			}
			if got.Version != "1.0" || got.Timestamp != "2024-05-01T12:00:00.007Z" {
				t.Errorf("version %s of %s", got.Version, got.Timestamp)
			}
			wantRequest := map[string]any{"requestId": id, "functionArn": arn + ":$LATEST", "condition": "RetriesExhausted", "approximateInvokeCount": 1.0}
			wantResponse := map[string]any{"statusCode": 200.0, "executedVersion": "$LATEST", "functionError": "Unhandled"}
			if fmt.Sprint(got.RequestContext) != fmt.Sprint(wantRequest) || fmt.Sprint(got.ResponseContext) != fmt.Sprint(wantResponse) {
				t.Errorf("contexts %v and %v", got.RequestContext, got.ResponseContext)
			}
		})
	}
}

func TestTheAsynchronousQueueIsBounded(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{MaxConcurrency: 1})
	g := newGate(t)
	invokeAsync(t, f, g.event(""))
	<-g.arrived
	large := []byte(`"` + strings.Repeat("a", lambda.MaxAsyncPayload-2) + `"`)
	taken := 0
	for ; taken < 1000; taken++ {
		if _, err := f.InvokeAsync(large); err != nil {
			if !errors.Is(err, lambda.ErrQueueFull) {
				t.Errorf("refused with %v", err)
			}
			break
		}
	}
	if taken != 64 {
		t.Errorf("took %d MB, want 64", taken)
	}
}

func TestIdleGivesUp(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{MaxConcurrency: 1})
	g := newGate(t)
	invokeAsync(t, f, g.event(""))
	<-g.arrived
	cause := errors.New("no patience")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := f.Idle(ctx); !errors.Is(err, cause) {
		t.Errorf("with its context: %v", err)
	}
	errs := make(chan error)
	go func() { errs <- f.Idle(t.Context()) }()
	f.Close()
	// Close ends the invocation as well, so either answer is right.
	if err := <-errs; err != nil && !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("with the function: %v", err)
	}
}
