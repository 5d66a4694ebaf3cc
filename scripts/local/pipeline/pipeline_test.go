package pipeline_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// run is a pipeline under test.
type run struct {
	*pipelinetest.Run
	t testing.TB
}

func start(t testing.TB, ittybit func(*fakeittybit.Options)) *run {
	t.Helper()
	return startWith(t, func(o *pipeline.Options) { pipelinetest.WithIttybit(o, ittybit) })
}

// startWith starts a pipeline whose options were changed.
func startWith(t testing.TB, change func(*pipeline.Options)) *run {
	t.Helper()
	return &run{pipelinetest.Start(t, change), t}
}

func TestOddKeysGoTheWholeWayUnchanged(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	keys := []string{
		"a b.mov", "a+b.mov", "%41.mov", "a#b.mov", "a?b&c=d.mov", `"quoted"'s.mov`, "<b>.mov", "emoji 😀.mov", "ملف\u200f.mov",
		strings.Repeat("k", 1020) + ".mov", "up/../over.mov", "a//b.mov", "x.MOV", "x.Mp4", "{brace}.mov",
	}
	for _, key := range keys {
		r.Put(key, "x")
	}
	for _, key := range keys {
		r.Until(fmt.Sprintf("three results of %q", key), func() bool { return r.Succeeded(key) })
	}
	r.Quiet() // a callback may be faster than what dispatch notes of the upload
	for _, key := range keys {
		r.WantOnce(key)
		for _, row := range r.Rows(key) {
			if row.Input != "s3://"+r.Bucket+"/"+key || row.Bucket != r.Bucket {
				t.Errorf("%q: row %+v", key, row)
			}
		}
	}
}

func TestWhatIsNotPickedUpSaysWhy(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, tt := range []struct {
		key, body string
		kind      pipeline.Kind
		says      string
	}{
		{"notes.txt", "x", pipeline.Unmatched, "notes.txt"},
		{"x.mp4.part", "x", pipeline.Unmatched, "x.mp4.part"},
		{"folder/", "", pipeline.Unmatched, "folder/"},
		{"folder.mov/", "", pipeline.Unmatched, "folder.mov/"},
		{"empty.mov", "", pipeline.Skipped, "0 bytes"},
		{"ittybit-output/done.mp4", "x", pipeline.Skipped, "output folder"},
	} {
		r.Put(tt.key, tt.body)
		r.Until(tt.key+" is "+string(tt.kind), func() bool { _, ok := r.Has(tt.kind, tt.key); return ok })
		if text, _ := r.Has(tt.kind, tt.key); !strings.Contains(text, tt.says) {
			t.Errorf("%s: %q does not say %q", tt.key, text, tt.says)
		}
	}
	if n := len(r.Ittybit.Jobs()); n != 0 {
		t.Errorf("%d jobs", n)
	}
}

func TestManyUploadsAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	var wg sync.WaitGroup
	key := func(i int) string { return fmt.Sprintf("%d.mov", i) }
	const n = 40
	for i := range n {
		wg.Go(func() { r.Put(key(i), "x") })
	}
	wg.Wait()
	for i := range n {
		r.Until("results of "+key(i), func() bool { return r.Succeeded(key(i)) })
		r.WantOnce(key(i))
	}
	if d := r.RetryQueue.Depth(); d.Visible+d.InFlight+d.Delayed != 0 {
		t.Errorf("the retry queue has %+v", d)
	}
}

// A dispatch that dies with a POST on its way: Ittybit has taken one job or
// more, the table knows of none.
func TestDispatchIsKilledAfterItsFirstPost(t *testing.T) {
	t.Parallel()
	var r *run
	var kill sync.Once
	killed := make(chan struct{})
	r = start(t, func(o *fakeittybit.Options) {
		o.Record = func(fakeittybit.Request, []byte) {
			kill.Do(func() {
				go func() {
					defer close(killed)
					r.Dispatch.Kill()
				}()
				<-killed // the process is gone before it can get an answer
			})
		}
	})
	r.Put("a.mov", "x")
	r.Until("the upload is in the retry queue", func() bool { _, ok := r.Has(pipeline.Waiting, "a.mov"); return ok })
	r.Clock.Advance(media.RetryDelay)
	r.Until("three results", func() bool { return r.Succeeded("a.mov") })
	r.WantOnce("a.mov")
}

func TestAnOutageMendsItself(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	down := true
	r := start(t, func(o *fakeittybit.Options) {
		o.Fault = func(fakeittybit.Request) fakeittybit.Fault {
			mu.Lock()
			defer mu.Unlock()
			if down {
				// Shorter retries inside the invocation than a real 503 would get.
				return fakeittybit.Fault{Status: 503, RetryAfter: "3600"}
			}
			return fakeittybit.Fault{}
		}
	})
	r.Put("a.mov", "x")
	r.Until("the retry queue has it", func() bool { _, ok := r.Has(pipeline.Waiting, "a.mov"); return ok })
	r.Clock.Advance(media.RetryDelay)
	// A batch of which a message failed is no step to wait for.
	r.Quiet()
	if n, d := r.Dispatch.Stats().Invocations, r.RetryQueue.Depth(); n != 2 || d.InFlight != 1 {
		t.Errorf("it did not fail again: %d invocations, %+v", n, d)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	r.Clock.Advance(media.RetryVisibility)
	r.Until("three results", func() bool { return r.Succeeded("a.mov") })
	r.WantOnce("a.mov")
}

func TestAfterThreeDaysItIsADeadLetter(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.Fault = func(fakeittybit.Request) fakeittybit.Fault {
			return fakeittybit.Fault{Status: 402, Kind: "payment_required", Message: "the bill"}
		}
	})
	began := r.Clock.Now()
	r.Put("a.mov", "x")
	r.Until("the retry queue has it", func() bool { _, ok := r.Has(pipeline.Waiting, "a.mov"); return ok })
	for len(r.DeadLetter.Messages()) == 0 {
		if err := r.RetryQueue.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(r.DeadLetter.Messages()) > 0 {
			break
		}
		next, ok := r.Clock.Next()
		if !ok {
			t.Fatal("nothing is left to wait for, and no dead letter")
		}
		r.Clock.Advance(next.Sub(r.Clock.Now()))
	}
	if after := r.Clock.Now().Sub(began); after < 71*time.Hour || after > 73*time.Hour {
		t.Errorf("given up after %v", after)
	}
	if r.Dispatch.Stats().Invocations != 1+media.RetryReceives {
		t.Errorf("%d invocations", r.Dispatch.Stats().Invocations)
	}
	if n := len(r.Rows("a.mov")) + len(r.Ittybit.Jobs()); n != 0 {
		t.Errorf("%d rows and jobs", n)
	}
}

func TestWhatKeepsItFromStartingIsOneLine(t *testing.T) {
	t.Parallel()
	config, _, err := stack.Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	binaries := pipelinetest.Binaries(t)
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho it is broken >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		options pipeline.Options
		says    string
	}{
		"a crash":                 {pipeline.Options{Binaries: map[string]string{"webhook": broken}}, "it is broken"},
		"no handler":              {pipeline.Options{Binaries: map[string]string{"webhook": binaries["webhook"]}}, "no binary of the handler"},
		"a bad address":           {pipeline.Options{Binaries: binaries, Addr: "127.0.0.1:99999"}, "S3 endpoint"},
		"an unusable environment": {pipeline.Options{Binaries: binaries, Env: map[string]map[string]string{"dispatch": {"DAILY_JOB_LIMIT": "many"}}}, "DAILY_JOB_LIMIT"},
	} {
		tt.options.Stack = config
		p, err := pipeline.Start(t.Context(), tt.options)
		if err == nil {
			p.Close()
			t.Errorf("%s: it starts", name)
		} else if !strings.Contains(err.Error(), tt.says) || strings.Contains(strings.TrimSpace(err.Error()), "\n") {
			t.Errorf("%s: %q", name, err)
		}
	}
}
