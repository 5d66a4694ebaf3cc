package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/operator"
	"ittybit-media/scripts/local/aws/endpoint"
	locals3 "ittybit-media/scripts/local/aws/s3"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// Outputs with the upload's name in theirs go with it; one without stays.
const outputs = `[{"prefix":"notes/","suffixes":[".txt"],"jobs":[{"name":"none","kind":"image"}]},
	{"prefix":"uploads/","suffixes":[".mp4",".MOV"],"jobs":[
	{"name":"video","kind":"video","output":"s3://${bucket}/ittybit-output/${dir}${job}.mp4","outputCollisions":"allow"},
	{"name":"audio","kind":"audio","output":"s3://${bucket}/ittybit-output/${stem}.mp3","outputCollisions":"allow"},
	{"name":"poster","kind":"image","output":"s3://${bucket}/ittybit-output/poster.jpg","outputCollisions":"allow"}]}]`

func withRoutes(t *testing.T, routes string, o *pipeline.Options) {
	t.Helper()
	var parsed any
	if err := json.Unmarshal([]byte(routes), &parsed); err != nil {
		t.Fatal(err)
	}
	o.Stack = pipelinetest.Config(t, map[string]any{"routes": parsed})
}

func TestAStackThatWorks(t *testing.T) {
	t.Parallel()
	for name, versioned := range map[string]bool{"without versions": false, "with versions": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed, seen := make(chan struct{}), make(chan struct{})
			var once sync.Once
			r := start(t, func(o *fakeittybit.Options) { o.Instant = false }, func(o *pipeline.Options) {
				withRoutes(t, outputs, o)
				o.Versioned = versioned
				o.Observe = func(s pipeline.Step) {
					if s.Kind == pipeline.Logged && strings.Contains(s.Text, "from_queue=false") {
						once.Do(func() { close(failed) })
					}
				}
			})
			r.Put("ittybit-output/smoke-mine.mp3", "somebody's")
			var looks atomic.Int32
			r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
				if c.Operation != "GetQueueAttributes" || r.RetryQueue.Depth().Delayed == 0 {
					return nil
				}
				if looks.Add(1) == 2 { // smoke has read the first of them
					close(seen)
				}
				return nil
			})
			done := try(t, r, hurried, "-json")
			<-failed
			<-seen
			r.Until("the jobs are over", func() bool { return slices.Equal(states(r), []string{"succeeded", "succeeded", "succeeded"}) })
			r.Clock.Advance(media.RetryDelay)
			got := <-done
			want(t, got, operator.ExitOK, "asking Ittybit what is open about it, with 7 small jobs")

			all := lines(t, got)
			key := all[0]["key"].(string)
			if marker, file, _ := strings.Cut(strings.TrimPrefix(key, "uploads/"), "/"); file != marker+".mov" || len(marker) != len("smoke-")+16 {
				t.Errorf("uploaded %q", key)
			}
			jobs, legs := map[string]any{}, []string{"event", "created", "processing", "callback", "total"}
			for _, line := range all {
				job, isOne := line["job"].(string)
				if !isOne {
					continue
				}
				jobs[job] = line["state"]
				for _, leg := range legs {
					if seconds, ok := line["seconds"].(map[string]any)[leg].(float64); !ok || seconds < 0 || seconds > 60 {
						t.Errorf("%s of %s: %v", leg, job, line["seconds"])
					}
				}
			}
			if !maps.Equal(jobs, map[string]any{"video": "succeeded", "audio": "succeeded", "poster": "succeeded"}) {
				t.Errorf("jobs %v", jobs)
			}
			path := all[4]
			queued, _ := path["queued_seconds"].(float64)
			if back, _ := path["done_seconds"].(float64); path["retry_path"] != true || path["failed_seconds"].(float64) > 10 || queued == 0 || queued > 10 || back < 60 {
				t.Errorf("the retry path: %v", path)
			}
			if last := all[len(all)-1]; last["ok"] != true {
				t.Errorf("the end: %v", last)
			}

			// What it made is gone; what is not its own, or may not be, is there.
			if left := objects(t, r); !slices.Equal(left, []string{"ittybit-output/poster.jpg", "ittybit-output/smoke-mine.mp3"}) {
				t.Errorf("objects left: %v", left)
			}
			if left := states(r); len(left) > 0 {
				t.Errorf("rows left: %v", left)
			}
			if d := r.RetryQueue.Depth(); d.Visible+d.InFlight+d.Delayed > 0 || len(r.DeadLetter.Messages()) > 0 {
				t.Errorf("messages left: %+v", d)
			}

			// Jobs of questions cannot be taken for the pipeline's.
			own := 0
			for _, j := range r.Ittybit.Jobs() {
				if j.WebhookURL != "" {
					continue
				}
				own++
				if ref, err := media.RefFromMetadata(j.Metadata); err == nil || j.Metadata["upload"] != "" || j.Metadata["smoke"] == "" {
					t.Errorf("a question's job can be taken for that of %+v: %v", ref, j.Metadata)
				}
			}
			if own != 7 || len(r.Ittybit.Jobs()) != 10 {
				t.Errorf("%d jobs, %d of them of questions", len(r.Ittybit.Jobs()), own)
			}
		})
	}
}

func TestWhatPeopleGetToSee(t *testing.T) {
	t.Parallel()
	r := start(t, nil, nil)
	done := try(t, r, hurried)
	bringBack(r)
	got := <-done
	want(t, got, operator.ExitOK)
	for _, text := range []string{
		"Uploaded s3://my-media-bucket/smoke-",
		"JOB        STATE      EVENT  CREATED  PROCESSING  CALLBACK  TOTAL\n",
		"thumbnail  succeeded  ",
		"Retry path, after the probe was sent: failed at dispatch ",
		"yes             Does webhook_url keep its query string?\n                webhook took the token in it\n                → webhookAuth: token works\n",
	} {
		if !strings.Contains(got.Stdout, text) {
			t.Errorf("%q is not in\n%s", text, got.Stdout)
		}
	}
	wantClean(t, r)
}

// Nothing is done before the command line and the routes are right, or with
// -dry-run.
func TestNothingIsDoneYet(t *testing.T) {
	t.Parallel()
	r := start(t, nil, nil)
	small := start(t, nil, func(o *pipeline.Options) {
		withRoutes(t, `[{"maxBytes":1000,"jobs":[{"name":"video","kind":"video"}]}]`, o)
	})
	want(t, r.Do(script(hurried), "-timeout", "0s"), operator.ExitUsage, "-timeout 0s is not above 0")
	want(t, r.Do(script(hurried), "a.mov"), operator.ExitUsage, `there is "a.mov"`)
	want(t, small.Do(script(hurried)), operator.ExitUsage, "no route takes the sample")
	want(t, r.Do(script(hurried), "-h"), operator.ExitOK, "-skip-retry-path", "It never asks before it begins")

	got := r.Do(script(hurried), "-dry-run")
	want(t, got, operator.ExitOK)
	for _, text := range []string{"Would upload sample.mov", "its 3 jobs", "a probe", "7 small jobs more", "up to 15", "Would delete"} {
		if !strings.Contains(got.Stdout, text) {
			t.Errorf("%q is not in\n%s", text, got.Stdout)
		}
	}
	got = r.Do(script(hurried), "-dry-run", "-json", "-no-questions", "-skip-retry-path", "-keep")
	want(t, got, operator.ExitOK)
	if plan := lines(t, got); len(plan) != 1 || plan[0]["jobs"] != 3.0 || plan[0]["question_jobs"] != 0.0 || plan[0]["retry_path"] != false || plan[0]["deletes"] != false {
		t.Errorf("the plan is %v", plan)
	}
	for _, r := range []*pipelinetest.Run{r, small} {
		wantClean(t, r)
		if n := len(r.Ittybit.Requests()); n > 0 || r.Dispatch.Stats().Invocations > 0 {
			t.Error("something was done")
		}
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	r := start(t, nil, nil)
	got := r.Do(script(hurried), "-keep", "-no-questions", "-skip-retry-path")
	want(t, got, operator.ExitOK)
	if !strings.Contains(got.Stdout, "Kept: s3://") || len(objects(t, r)) != 1 || len(states(r)) != 3 || len(r.Ittybit.Jobs()) != 3 {
		t.Errorf("%v and %v are there, and it says\n%s", objects(t, r), states(r), got.Stdout)
	}
}

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
	done := try(t, r, hurried, "-no-questions", "-skip-retry-path", "-json")
	r.Until("all are called back", func() bool { return len(states(r)) == 3 })
	close(over)
	got := <-done
	want(t, got, operator.ExitOK)
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
	want(t, r.Do(script(hurried), append(args, "-timeout", "200ms")...), operator.ExitFailed, "after 200ms no event has reached dispatch (the retry queue has 0 messages)", cure, how,
		"Dispatch may still get smoke-")
	// It does not wait for what cannot come.
	early := hurried
	early.again = 20 * time.Millisecond
	want(t, r.Do(script(early), args...), operator.ExitFailed, cure, how)
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
	want(t, r.Do(script(impatient), "-no-questions", "-skip-retry-path"), operator.ExitOK, "uploading again")
	if n := len(r.Ittybit.Jobs()); n != 3 {
		t.Errorf("%d jobs", n)
	}
	wantClean(t, r)

	// Where they do not come although they should, it says where to look.
	mu.Lock()
	uploads = -1000
	mu.Unlock()
	want(t, r.Do(script(hurried), "-no-questions", "-skip-retry-path", "-timeout", "200ms"), operator.ExitFailed, "look whether the rule uploads is enabled and invokes dispatch")
}

// The stack's outputs say what was deployed; where they are not true, dispatch
// does not take the upload.
func TestDispatchSkipsIt(t *testing.T) {
	t.Parallel()
	r := start(t, nil, func(o *pipeline.Options) { withRoutes(t, outputs, o) })
	access := r.Access()
	access.Outputs.Settings.Routes = []byte(pipelinetest.Routes) // which take films anywhere
	file := filepath.Join(t.TempDir(), "local.json")
	if err := access.Write(file); err != nil {
		t.Fatal(err)
	}
	want(t, r.Do(script(hurried), "-local="+file, "-no-questions", "-skip-retry-path"), operator.ExitFailed, "dispatch skipped the upload: no route")
	wantClean(t, r)
}

func TestIttybitIsDown(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.Fault = func(fakeittybit.Request) fakeittybit.Fault {
			return fakeittybit.Fault{Status: 402, Kind: "payment_required", Message: "no credits"}
		}
	}, nil)
	got := r.Do(script(hurried), "-skip-retry-path", "-json", "-timeout", "3s")
	want(t, got, operator.ExitFailed,
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
	want(t, r.Do(script(hurried), "-no-questions", "-skip-retry-path"), operator.ExitFailed, "job audio failed: ", "no sound")
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
	done := try(t, r, hurried, "-no-questions", "-skip-retry-path")
	r.Until("it waits", func() bool { return r.RetryQueue.Depth().Delayed == 1 })
	r.Clock.Advance(media.RetryDelay)
	got := <-done
	want(t, got, operator.ExitFailed, "dispatch could not do it yet", "job audio was rejected: ", "this one")
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
	got := r.Do(script(hurried), "-json", "-skip-retry-path", "-timeout", "3s")
	want(t, got, operator.ExitFailed, "job video: Ittybit says that it has succeeded, but it has not called back in 3s. Is webhook_url not honoured? Webhook has refused no callback meanwhile", "3 jobs of smoke-", "the rows stay")
	if f := findings(t, got)["Is webhook_url honoured on /jobs?"]; f[0] != no || !strings.Contains(f[1], "overdueAfter") {
		t.Errorf("webhook_url: %v", f)
	}
	if left := states(r); !slices.Equal(left, []string{"queued", "queued", "queued"}) || len(objects(t, r)) > 0 {
		t.Errorf("rows %v and objects %v left", left, objects(t, r))
	}

	// Sweep ends them, which is told from a callback.
	done := try(t, r, hurried, "-json", "-skip-retry-path")
	r.Until("dispatched", func() bool { return len(states(r)) == 6 })
	r.Clock.Advance(time.Hour)
	got = <-done
	want(t, got, operator.ExitFailed, "job audio was not called back: sweep ended it. Is webhook_url not honoured?")
	if f := findings(t, got)["Is webhook_url honoured on /jobs?"]; f[0] != no {
		t.Errorf("webhook_url: %v", f)
	}
}

func TestCallbacksAreRefused(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.DropQuery, o.SigningSecret, o.CallbackAttempts = true, "shh", 1
	}, nil)
	got := r.Do(script(hurried), "-json", "-skip-retry-path", "-timeout", "3s")
	want(t, got, operator.ExitFailed, "Webhook has refused 3 callbacks meanwhile, the last one because: the callback token is missing")
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
	got := r.Do(script(hasty), "-json", "-no-questions")
	want(t, got, operator.ExitFailed, "retry path: the probe failed at dispatch, but was not in the queue in 2s: Lambda cannot deliver to the retry queue. Look at the alarm destination and at the role of dispatch")
	if path := lines(t, got)[4]; path["retry_path"] != false || path["failed_seconds"] == nil || path["done_seconds"] != nil {
		t.Errorf("the retry path: %v", path)
	}
	wantClean(t, r)
	r = start(t, nil, nil)
	want(t, r.Do(script(hasty), "-no-questions"), operator.ExitFailed, "is in the retry queue, but dispatch has not got it back in 2s: is the event source mapping of dispatch enabled?")
	r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Service == endpoint.ServiceLambda {
			return &endpoint.Fault{Type: "AccessDeniedException", Message: "not you", Status: http.StatusForbidden}
		}
		return nil
	})
	want(t, r.Do(script(hasty), "-no-questions"), operator.ExitFailed, "retry path: sending dispatch a probe: ", "these credentials may not do it")
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
	done := try(t, r, short, "-json")
	<-seen
	r.Clock.Advance(media.RetryDelay)
	got := <-done
	want(t, got, operator.ExitOK)
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
	done := try(t, r, hurried, "-no-questions")
	r.Until("both probes are in the queue", func() bool { return r.RetryQueue.Depth().Delayed == 2 })
	r.Clock.Advance(media.RetryDelay)
	want(t, <-done, operator.ExitOK)
	wantClean(t, r)
}

func TestWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	r := start(t, nil, nil)
	refuse := func(when func(*http.Request) bool) {
		r.Objects.Intercept(func(q *http.Request) *locals3.Fault {
			if when(q) {
				return &locals3.Fault{Code: "AccessDenied", Message: "not you", Status: http.StatusForbidden}
			}
			return nil
		})
	}
	denied := &endpoint.Fault{Type: "AccessDeniedException", Message: "not you"}
	args := []string{"-no-questions", "-skip-retry-path"}

	refuse(func(q *http.Request) bool { return q.Method == http.MethodPut })
	got := r.Do(script(hurried), args...)
	want(t, got, operator.ExitFailed, "uploading s3://", "these credentials may not do it")
	if strings.Contains(got.Stderr, "deleted") || r.AWS.Calls()["DynamoDB.Query"] > 0 {
		t.Errorf("it cleans up after nothing:\n%s", got.Stderr)
	}
	refuse(func(q *http.Request) bool { return q.Method == http.MethodDelete })
	want(t, r.Do(script(hurried), args...), operator.ExitFailed, "not everything could be deleted; look for keys with smoke-", "these credentials may not do it")
	refuse(func(q *http.Request) bool { return q.URL.Query().Has("notification") })
	if err := r.Objects.SetEventBridge(r.Bucket, false); err != nil {
		t.Fatal(err)
	}
	want(t, r.Do(script(hurried), append(args, "-timeout", "100ms")...), operator.ExitFailed, "whether EventBridge is on for the bucket cannot be seen")
	if err := r.Objects.SetEventBridge(r.Bucket, true); err != nil {
		t.Fatal(err)
	}

	r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.AccessKey == r.AccessKey && (c.Service == endpoint.ServiceSecrets || c.Service == endpoint.ServiceLogs) {
			return denied
		}
		return nil
	})
	got = r.Do(script(hurried), "-json", "-skip-retry-path")
	want(t, got, operator.ExitOK, "these credentials may not read Ittybit's API key", "the log of webhook cannot be read")
	for question, f := range findings(t, got) {
		if f[0] != unknown {
			t.Errorf("%s %v", question, f)
		}
	}
	r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.AccessKey == r.AccessKey && c.Service == endpoint.ServiceDynamoDB {
			return denied
		}
		return nil
	})
	want(t, r.Do(script(hurried), args...), operator.ExitFailed, "no access to the table", "not everything could be deleted")
}

func TestTheKeyIsMissingOrWrong(t *testing.T) {
	t.Parallel()
	r := start(t, nil, nil)
	r.Ittybit.SetKeys("another")
	want(t, r.Do(script(hurried)), operator.ExitFailed, "no job can be made: ", "check the API key")
	r.Secrets.SetEmpty(r.Access().Outputs.Settings.APIKeySecret)
	want(t, r.Do(script(hurried)), operator.ExitFailed, "no job can be made: ", "put-secret-value")
	wantClean(t, r)
	if r.Dispatch.Stats().Invocations > 0 {
		t.Error("it was tried all the same")
	}
}

// Ctrl-C in the middle of the way: rows of jobs that are not over are all that
// stays, and the next run goes its own way.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	var stuck atomic.Bool
	stuck.Store(true)
	r := start(t, func(o *fakeittybit.Options) {
		o.Outcome = func(j fakeittybit.Job) fakeittybit.Outcome {
			if j.Kind == "video" && stuck.Load() {
				return fakeittybit.Outcome{Status: fakeittybit.Processing}
			}
			return fakeittybit.Outcome{}
		}
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan pipelinetest.Result, 1)
	go func() { done <- r.DoContext(ctx, script(hurried)) }()
	r.Until("two of three are over", func() bool { return slices.Equal(states(r), []string{"queued", "succeeded", "succeeded"}) })
	r.Until("the probe is under way", func() bool { return r.RetryQueue.Depth().Delayed == 1 })
	cancel()
	want(t, <-done, operator.ExitFailed, "smoke: interrupted\n", "1 job of smoke-")
	if left := states(r); !slices.Equal(left, []string{"queued"}) || len(objects(t, r)) > 0 {
		t.Errorf("rows %v and objects %v left", left, objects(t, r))
	}

	stuck.Store(false)
	again := try(t, r, hurried, "-no-questions")
	r.Until("both probes are in the queue", func() bool { return r.RetryQueue.Depth().Delayed == 2 })
	r.Clock.Advance(media.RetryDelay)
	want(t, <-again, operator.ExitOK)
	if left := states(r); !slices.Equal(left, []string{"queued"}) || len(objects(t, r)) > 0 {
		t.Errorf("rows %v and objects %v left", left, objects(t, r))
	}

	stuck.Store(true)
	want(t, r.Do(script(hurried), "-no-questions", "-skip-retry-path", "-timeout", "1s"), operator.ExitFailed,
		"job video: Ittybit is still at work on it (processing) after 1s: -timeout waits longer")
}
