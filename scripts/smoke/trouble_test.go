package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// A job that is over is not all: dispatch has to note it.
func TestCallbacksAreFasterThanDispatch(t *testing.T) {
	t.Parallel()
	r := start(t, nil, nil)
	looked, over := make(chan struct{}), make(chan struct{})
	var looks atomic.Int32
	r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		switch {
		case c.AccessKey == pipeline.AccessKey("dispatch") && c.Operation == "PutItem":
			<-looked
		case c.AccessKey == r.AccessKey && c.Operation == "Query":
			select {
			case <-over:
				if looks.Add(1) == 3 {
					close(looked)
				}
			default:
			}
		}
		return nil
	})
	done := try(t, r, "-no-questions", "-skip-retry-path", "-json")
	r.Until("all are called back", func() bool { return len(states(r)) == 3 })
	close(over)
	got := <-done
	want(t, got, cli.ExitOK)
	for _, line := range lines(t, got) {
		if legs, ok := line["seconds"].(map[string]any); ok && legs["event"] == nil {
			t.Errorf("dispatch has not noted it: %v", line)
		}
	}
	wantClean(t, r)
}

func TestWithoutEvents(t *testing.T) {
	t.Parallel()
	r := start(t, nil, nil)
	if err := r.Objects.SetEventBridge(r.Bucket, false); err != nil {
		t.Fatal(err)
	}
	const cure, how = "EventBridge is off for the bucket my-media-bucket: go run ./scripts/preflight -local=", " -enable-eventbridge turns it on"
	args := []string{"-no-questions", "-skip-retry-path"}
	want(t, r.Do(append(args, "-timeout", "200ms")...), cli.ExitFailed, "after 200ms no event has reached dispatch (the retry queue has 0 messages)", cure, how,
		"Dispatch may still get smoke-")
	// It does not wait for what cannot come.
	early := hurried
	early.again = 20 * time.Millisecond
	r.Command = script(early)
	want(t, r.Do(args...), cli.ExitFailed, cure, how)
	wantClean(t, r)
}

// Events that a fresh configuration does not send are made up for.
func TestTheFirstEventsNeverCome(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	uploads := 0
	r := start(t, nil, func(o *pipeline.Options) {
		o.Deliveries = func(media.Upload) []time.Duration {
			mu.Lock()
			defer mu.Unlock()
			if uploads++; uploads < 3 {
				return nil
			}
			return []time.Duration{0}
		}
	})
	impatient := hurried
	impatient.again = 300 * time.Millisecond
	r.Command = script(impatient)
	want(t, r.Do("-no-questions", "-skip-retry-path"), cli.ExitOK, "uploading again")
	if n := len(r.Ittybit.Jobs()); n != 3 {
		t.Errorf("%d jobs", n)
	}
	wantClean(t, r)

	// Where they do not come although they should, it says where to look.
	mu.Lock()
	uploads = -1000
	mu.Unlock()
	want(t, r.Do("-no-questions", "-skip-retry-path", "-timeout", "200ms"), cli.ExitFailed, "look whether the rule uploads is enabled and invokes dispatch")
}

// The stack's outputs say what was deployed; where they are not true, dispatch
// does not take the upload.
func TestDispatchSkipsIt(t *testing.T) {
	t.Parallel()
	r := start(t, nil, func(o *pipeline.Options) { withRoutes(t, outputs, o) })
	access := r.Access()
	access.Outputs.Settings.Routes = []byte(pipelinetest.Routes) // which take films anywhere
	file := pipelinetest.WriteAccess(t, access)
	want(t, r.Do("-local="+file, "-no-questions", "-skip-retry-path"), cli.ExitFailed, "dispatch skipped the upload: no route")
	wantClean(t, r)
}

func TestIttybitIsDown(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.Fault = func(fakeittybit.Request) fakeittybit.Fault {
			return fakeittybit.Fault{Status: 402, Kind: "payment_required", Message: "no credits"}
		}
	}, nil)
	got := r.Do("-skip-retry-path", "-json", "-timeout", "3s")
	want(t, got, cli.ExitFailed,
		"Ittybit does not answer as it should",
		"dispatch could not do it yet, the retry queue brings it back:",
		"after 3s it waits for another try (the retry queue has 1 message): ",
		"check the bill of the Ittybit account): no credits; job")
	for question, f := range findings(t, got) {
		if f[0] != unknown {
			t.Errorf("%s %v", question, f)
		}
	}
	wantClean(t, r)
}

func TestAJobThatFails(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.Outcome = func(j fakeittybit.Job) fakeittybit.Outcome {
			if j.Kind == "audio" {
				return fakeittybit.Outcome{Status: fakeittybit.Failed, Message: "there is no sound"}
			}
			return fakeittybit.Outcome{}
		}
	}, nil)
	want(t, r.Do("-no-questions", "-skip-retry-path"), cli.ExitFailed, "job audio failed: ", "no sound")
	wantClean(t, r)
}

func TestARejectedJob(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.Fault = func(r fakeittybit.Request) fakeittybit.Fault {
			if r.Op == fakeittybit.Create && r.Kind == "audio" {
				return fakeittybit.Fault{Status: 422, Kind: "format_unsupported", Message: "not \x1b[31mthis one"}
			}
			return fakeittybit.Fault{}
		}
	}, nil)
	done := try(t, r, "-no-questions", "-skip-retry-path")
	r.Until("it waits", func() bool { return r.RetryQueue.Depth().Delayed == 1 })
	r.Clock.Advance(media.RetryDelay)
	got := <-done
	want(t, got, cli.ExitFailed, "dispatch could not do it yet", "job audio was rejected: ", "this one")
	if strings.Contains(got.Stdout+got.Stderr, "\x1b") {
		t.Errorf("an escape sequence gets to the terminal:\n%s%s", got.Stdout, got.Stderr)
	}
	wantClean(t, r)
}

func TestCallbacksAreLost(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.Deliveries = func(fakeittybit.Job) []fakeittybit.Delivery { return nil }
	}, nil)
	got := r.Do("-json", "-skip-retry-path", "-timeout", "3s")
	want(t, got, cli.ExitFailed, "job video: Ittybit says that it has succeeded, but it has not called back in 3s. Is webhook_url not honoured? Webhook has refused no callback meanwhile", "3 jobs of smoke-", "the rows stay")
	if f := findings(t, got)["Is webhook_url honoured on /jobs?"]; f[0] != no || !strings.Contains(f[1], "overdueAfter") {
		t.Errorf("webhook_url: %v", f)
	}
	if left := states(r); !slices.Equal(left, []string{"queued", "queued", "queued"}) || len(objects(t, r)) > 0 {
		t.Errorf("rows %v and objects %v left", left, objects(t, r))
	}

	// Sweep ends them, which is told from a callback.
	done := try(t, r, "-json", "-skip-retry-path")
	r.Until("dispatched", func() bool { return len(states(r)) == 6 })
	r.Clock.Advance(time.Hour)
	got = <-done
	want(t, got, cli.ExitFailed, "job audio was not called back: sweep ended it. Is webhook_url not honoured?")
	if f := findings(t, got)["Is webhook_url honoured on /jobs?"]; f[0] != no {
		t.Errorf("webhook_url: %v", f)
	}
}

func TestCallbacksAreRefused(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.DropQuery, o.SigningSecret, o.CallbackAttempts = true, "shh", 1
	}, nil)
	got := r.Do("-json", "-skip-retry-path", "-timeout", "3s")
	want(t, got, cli.ExitFailed, "Webhook has refused 3 callbacks meanwhile, the last one because: the callback token is missing")
	f := findings(t, got)
	if f["Does webhook_url keep its query string?"][0] != no || f["Are callbacks signed?"][0] != yes || f["Is webhook_url honoured on /jobs?"][0] != unknown {
		t.Errorf("findings %v", f)
	}
}

func TestTheRetryPathIsBroken(t *testing.T) {
	t.Parallel()
	hasty := hurried
	hasty.comeBack = 2 * time.Second
	r := start(t, nil, func(o *pipeline.Options) { o.NoDestination = true })
	r.Command = script(hasty)
	got := r.Do("-json", "-no-questions")
	want(t, got, cli.ExitFailed, "retry path: the probe failed at dispatch, but was not in the queue in 2s: Lambda cannot deliver to the retry queue. Look at the alarm destination and at the role of dispatch")
	if path := lines(t, got)[4]; path["retry_path"] != false || path["failed_seconds"] == nil || path["done_seconds"] != nil {
		t.Errorf("the retry path: %v", path)
	}
	wantClean(t, r)
	r = start(t, nil, nil)
	r.Command = script(hasty)
	want(t, r.Do("-no-questions"), cli.ExitFailed, "is in the retry queue, but dispatch has not got it back in 2s: is the event source mapping of dispatch enabled?")
	r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Service == endpoint.ServiceLambda {
			return &endpoint.Fault{Type: "AccessDeniedException", Message: "not you", Status: http.StatusForbidden}
		}
		return nil
	})
	r.Command = script(hasty)
	want(t, r.Do("-no-questions"), cli.ExitFailed, "retry path: sending dispatch a probe: ", "these credentials may not do it")
}

// Without its lines in the log, the queue tells of the probe.
func TestALogThatTellsLittle(t *testing.T) {
	t.Parallel()
	r := start(t, nil, func(o *pipeline.Options) { o.Stack = pipelinetest.Config(t, map[string]any{"logLevel": "error"}) })
	short := hurried
	short.inLog = 100 * time.Millisecond
	seen := make(chan struct{})
	var looks atomic.Int32
	r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Operation == "GetQueueAttributes" && r.RetryQueue.Depth().Delayed == 1 {
			if looks.Add(1) == 2 {
				close(seen)
			}
		}
		return nil
	})
	r.Command = script(short)
	done := try(t, r, "-json")
	<-seen
	r.Clock.Advance(media.RetryDelay)
	got := <-done
	want(t, got, cli.ExitOK)
	f := findings(t, got)
	if f["Are callbacks signed?"][0] != unknown || f["Is webhook_url honoured on /jobs?"][0] != yes {
		t.Errorf("findings %v", f)
	}
}

func TestAnAnswerIsLost(t *testing.T) {
	t.Parallel()
	r := start(t, nil, nil)
	r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		switch {
		case c.AccessKey != r.AccessKey:
		case c.Operation == "Invoke" && c.Ordinal == 1: // so that there are two probes
			return &endpoint.Fault{Type: "ServiceException", Message: "lost", Status: http.StatusInternalServerError, Applied: true}
		case c.Operation == "Query" && c.Ordinal%3 == 0, c.Operation == "DeleteItem" && c.Ordinal == 1:
			return endpoint.Throttled(c)
		}
		return nil
	})
	done := try(t, r, "-no-questions")
	r.Until("both probes are in the queue", func() bool { return r.RetryQueue.Depth().Delayed == 2 })
	r.Clock.Advance(media.RetryDelay)
	want(t, <-done, cli.ExitOK)
	wantClean(t, r)
}
