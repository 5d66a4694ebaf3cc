package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// world is a pipeline whose Ittybit can be down.
type world struct {
	*pipelinetest.Run
	t    *testing.T
	down atomic.Bool
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	w.Run = pipelinetest.Start(t, func(o *pipeline.Options) {
		pipelinetest.WithIttybit(o, func(o *fakeittybit.Options) {
			o.Fault = func(fakeittybit.Request) fakeittybit.Fault {
				if w.down.Load() {
					return fakeittybit.Fault{Status: http.StatusServiceUnavailable, RetryAfter: "3600"}
				}
				return fakeittybit.Fault{}
			}
		})
	})
	w.Command = script
	return w
}

// fail uploads films while Ittybit is down, and puts what dispatch left in the
// retry queue into the dead letters, without the three days.
func (w *world) fail(keys ...string) {
	w.t.Helper()
	w.down.Store(true)
	before := len(w.RetryQueue.Messages())
	for _, key := range keys {
		w.Put(key, "x")
	}
	w.Quiet()
	w.down.Store(false)
	messages := w.RetryQueue.Messages()[before:]
	if len(messages) != len(keys) {
		w.t.Fatalf("%d messages of %d uploads", len(messages), len(keys))
	}
	for _, m := range messages {
		w.bury(m.Body, nil)
	}
}

func (w *world) bury(body string, attributes map[string]string) {
	w.t.Helper()
	if _, err := w.DeadLetter.Send(body, attributes); err != nil {
		w.t.Fatal(err)
	}
}

// event is one of our own about an upload.
func (w *world) event(detailType, key string, attempt int, jobs ...string) string {
	w.t.Helper()
	text, err := event.EncodeRequest(detailType, event.Request{
		Upload:  media.Upload{Bucket: w.Bucket, Key: key, Size: 1, ETag: "e", Time: w.Clock.Now().Add(-time.Hour)},
		Attempt: attempt, Jobs: jobs,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// wantLeft checks how many dead letters there are, and that everybody can
// receive them.
func (w *world) wantLeft(n int) {
	w.t.Helper()
	if d := w.DeadLetter.Depth(); d.Visible != n || d.InFlight != 0 {
		w.t.Errorf("%d dead letters are visible and %d hidden, want %d", d.Visible, d.InFlight, n)
	}
}

// intercept does something at the n-th call of an operation by the operator.
func (w *world) intercept(operation string, n int, do func() error) {
	var calls atomic.Int32
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.AccessKey == w.AccessKey && c.Operation == operation && int(calls.Add(1)) >= n {
			return do()
		}
		return nil
	})
}
