package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
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
			done := try(t, r, "-json")
			<-failed
			<-seen
			r.Until("the jobs are over", func() bool { return slices.Equal(states(r), []string{"succeeded", "succeeded", "succeeded"}) })
			r.Clock.Advance(media.RetryDelay)
			got := <-done
			want(t, got, cli.ExitOK, "asking Ittybit what is open about it, with 7 small jobs")

			wantReport(t, lines(t, got))

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

			wantQuestionJobs(t, r)
		})
	}
}

// wantQuestionJobs checks that jobs of questions cannot be taken for the
// pipeline's.
func wantQuestionJobs(t *testing.T, r *pipelinetest.Run) {
	t.Helper()
	own := questionJobs(r)
	for _, j := range own {
		if ref, err := media.RefFromMetadata(j.Metadata); err == nil || j.Metadata["upload"] != "" || j.Metadata["smoke"] == "" {
			t.Errorf("a question's job can be taken for that of %+v: %v", ref, j.Metadata)
		}
	}
	if len(own) != 7 || len(r.Ittybit.Jobs()) != 10 {
		t.Errorf("%d jobs, %d of them of questions", len(r.Ittybit.Jobs()), len(own))
	}
}

// wantReport checks what -json prints of a stack that works.
func wantReport(t *testing.T, all []map[string]any) {
	t.Helper()
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
}

func TestWhatPeopleGetToSee(t *testing.T) {
	t.Parallel()
	r := start(t, nil, nil)
	done := try(t, r)
	bringBack(r)
	got := <-done
	want(t, got, cli.ExitOK)
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
	want(t, r.Do("-timeout", "0s"), cli.ExitUsage, "-timeout 0s is not above 0")
	want(t, r.Do("a.mov"), cli.ExitUsage, `there is "a.mov"`)
	want(t, small.Do(), cli.ExitUsage, "no route takes the sample")
	want(t, r.Do("-h"), cli.ExitOK, "-skip-retry-path", "It never asks before it begins")

	got := r.Do("-dry-run")
	want(t, got, cli.ExitOK)
	for _, text := range []string{"Would upload sample.mov", "its 3 jobs", "a probe", "7 small jobs more", "up to 15", "Would delete"} {
		if !strings.Contains(got.Stdout, text) {
			t.Errorf("%q is not in\n%s", text, got.Stdout)
		}
	}
	got = r.Do("-dry-run", "-json", "-no-questions", "-skip-retry-path", "-keep")
	want(t, got, cli.ExitOK)
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
	got := r.Do("-keep", "-no-questions", "-skip-retry-path")
	want(t, got, cli.ExitOK)
	if !strings.Contains(got.Stdout, "Kept: s3://") || len(objects(t, r)) != 1 || len(states(r)) != 3 || len(r.Ittybit.Jobs()) != 3 {
		t.Errorf("%v and %v are there, and it says\n%s", objects(t, r), states(r), got.Stdout)
	}
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
	got := r.Do(args...)
	want(t, got, cli.ExitFailed, "uploading s3://", "these credentials may not do it")
	if strings.Contains(got.Stderr, "deleted") || r.AWS.Calls()["DynamoDB.Query"] > 0 {
		t.Errorf("it cleans up after nothing:\n%s", got.Stderr)
	}
	refuse(func(q *http.Request) bool { return q.Method == http.MethodDelete })
	want(t, r.Do(args...), cli.ExitFailed, "not everything could be deleted; look for keys with smoke-", "these credentials may not do it")
	refuse(func(q *http.Request) bool { return q.URL.Query().Has("notification") })
	if err := r.Objects.SetEventBridge(r.Bucket, false); err != nil {
		t.Fatal(err)
	}
	want(t, r.Do(append(args, "-timeout", "100ms")...), cli.ExitFailed, "whether EventBridge is on for the bucket cannot be seen")
	if err := r.Objects.SetEventBridge(r.Bucket, true); err != nil {
		t.Fatal(err)
	}

	r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.AccessKey == r.AccessKey && (c.Service == endpoint.ServiceSecrets || c.Service == endpoint.ServiceLogs) {
			return denied
		}
		return nil
	})
	got = r.Do("-json", "-skip-retry-path")
	want(t, got, cli.ExitOK, "these credentials may not read Ittybit's API key", "the log of webhook cannot be read")
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
	want(t, r.Do(args...), cli.ExitFailed, "no access to the table", "not everything could be deleted")
}

func TestTheKeyIsMissingOrWrong(t *testing.T) {
	t.Parallel()
	r := start(t, nil, nil)
	r.Ittybit.SetKeys("another")
	want(t, r.Do(), cli.ExitFailed, "no job can be made: ", "check the API key")
	r.Secrets.SetEmpty(r.Access().Outputs.Settings.APIKeySecret)
	want(t, r.Do(), cli.ExitFailed, "no job can be made: ", "put-secret-value")
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
	go func() { done <- r.DoContext(ctx) }()
	r.Until("two of three are over", func() bool { return slices.Equal(states(r), []string{"queued", "succeeded", "succeeded"}) })
	r.Until("the probe is under way", func() bool { return r.RetryQueue.Depth().Delayed == 1 })
	cancel()
	want(t, <-done, cli.ExitFailed, "smoke: interrupted\n", "1 job of smoke-")
	if left := states(r); !slices.Equal(left, []string{"queued"}) || len(objects(t, r)) > 0 {
		t.Errorf("rows %v and objects %v left", left, objects(t, r))
	}

	stuck.Store(false)
	again := try(t, r, "-no-questions")
	r.Until("both probes are in the queue", func() bool { return r.RetryQueue.Depth().Delayed == 2 })
	r.Clock.Advance(media.RetryDelay)
	want(t, <-again, cli.ExitOK)
	if left := states(r); !slices.Equal(left, []string{"queued"}) || len(objects(t, r)) > 0 {
		t.Errorf("rows %v and objects %v left", left, objects(t, r))
	}

	stuck.Store(true)
	want(t, r.Do("-no-questions", "-skip-retry-path", "-timeout", "1s"), cli.ExitFailed,
		"job video: Ittybit is still at work on it (processing) after 1s: -timeout waits longer")
}
