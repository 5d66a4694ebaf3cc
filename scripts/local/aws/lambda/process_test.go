package lambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/scripts/local/aws/lambda"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	events := make(chan lambda.Event, 10)
	f := start(t, lambda.Config{MaxConcurrency: 1, Observe: func(e lambda.Event) { events <- e }})
	before := time.Now()
	initTime, err := f.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if initTime <= 0 || initTime > time.Since(before) {
		t.Errorf("an init of %v within %v", initTime, time.Since(before))
	}
	e := <-events
	if e.Kind != lambda.ProcessStarted || e.Function != "test" || e.PID == 0 || e.Duration != initTime {
		t.Errorf("observed %+v", e)
	}
	wantEcho(t, f, `{"do":"echo"}`)
	if s := f.Stats(); s.Processes != 1 {
		t.Errorf("%d processes: the checked one was not used", s.Processes)
	}
	// Again means another cold start, and still one process.
	if _, err := f.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := f.Stats(); s.Processes != 2 || s.Warm+s.Busy != 1 {
		t.Errorf("after the second check: %+v", s)
	}
	if !gone(e.PID) {
		t.Error("the first process is still there")
	}
}

func TestAFailingInit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ init, want string }{
		{"fail", "Runtime exited with error: exit status 1, in its init: reading the configuration; TABLE_NAME is not set"},
		{"report", "Runtime exited with error: exit status 1, in its init: no such module"},
	} {
		t.Run(test.init, func(t *testing.T) {
			t.Parallel()
			envelopes := make(chan []byte, 1)
			f := start(t, lambda.Config{Env: map[string]string{"INIT": test.init}, OnFailure: func(envelope []byte) { envelopes <- envelope }})
			_, err := f.Check(t.Context())
			if err == nil || err.Error() != "lambda: function test: "+test.want {
				t.Errorf("Check: %v", err)
			}
			r := invoke(t, f, `{}`)
			wantFailure(t, r, "Runtime.ExitError", "RequestId: "+r.RequestID+" Error: "+test.want)
			invokeAsync(t, f, `{}`)
			idle(t, f)
			if len(envelopes) != 1 {
				t.Errorf("%d envelopes", len(envelopes))
			}
		})
	}
}

// A runtime can fail when half of its answer is on its way.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{Env: map[string]string{"INIT": "stream"}})
	wantFailure(t, invoke(t, f, `{}`), "errorString", "the stream broke")
}

// An invocation is over for its caller once it is answered, and for its process
// once that asks again, which must be within the timeout.
func TestAProcessThatDoesNotAskAgain(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{Env: map[string]string{"INIT": "mute"}, MaxConcurrency: 1, Timeout: 2 * time.Second})
	for i := range 2 {
		if r := invoke(t, f, `{}`); string(r.Payload) != `"done"` || r.FunctionError != "" {
			t.Errorf("invocation %d: %s %s", i, r.FunctionError, r.Payload)
		}
	}
	if s := f.Stats(); s.Processes != 2 || s.Failures != 0 {
		t.Errorf("counted %+v", s)
	}
}

func TestCheckCanBeGivenUp(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{Env: map[string]string{"INIT": "hang"}})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := f.Check(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Check: %v", err)
	}
	if s := f.Stats(); s.Busy+s.Warm != 0 {
		t.Errorf("left: %+v", s)
	}
}

func TestNoSuchBinary(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{Binary: "no/such/bootstrap"})
	if _, err := f.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "no/such/bootstrap") {
		t.Errorf("Check: %v", err)
	}
	r := invoke(t, f, `{}`)
	if !strings.Contains(string(r.Payload), "Runtime.InvalidEntrypoint") || r.FunctionError == "" {
		t.Errorf("Invoke: %s", r.Payload)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]lambda.Config{
		"no name":             {Binary: binary},
		"no binary":           {Name: "test"},
		"a reserved variable": {Name: "test", Binary: binary, Env: map[string]string{"AWS_REGION": "x"}},
		"the Runtime API":     {Name: "test", Binary: binary, Env: map[string]string{"AWS_LAMBDA_RUNTIME_API": "x"}},
	} {
		if f, err := lambda.Start(t.Context(), cfg); err == nil {
			f.Close()
			t.Errorf("started with %s", name)
		}
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{MaxConcurrency: 2})
	g := newGate(t)
	var results []<-chan lambda.Result
	for range 2 {
		results = append(results, invokeInBackground(t, f, g.event("")))
		<-g.arrived
	}
	if n := f.Kill(); n != 2 {
		t.Errorf("killed %d", n)
	}
	for _, result := range results {
		r := <-result
		wantFailure(t, r, "Runtime.ExitError", "RequestId: "+r.RequestID+" Error: Runtime exited with error: signal: killed")
		<-g.lost
	}
	wantEcho(t, f, `{"do":"echo"}`)
	// One that waits is killed as well, and not asked again.
	if f.Kill() == 0 {
		t.Error("the warm process was not killed")
	}
	wantEcho(t, f, `{"do":"echo"}`)
}

func TestKillAt(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{MaxConcurrency: 2})
	g := newGate(t)
	one := invokeInBackground(t, f, g.event("one"))
	<-g.arrived
	two := invokeInBackground(t, f, g.event("two"))
	<-g.arrived
	if n := len(f.PIDs()); n != 2 {
		t.Errorf("%d processes", n)
	}
	fits := func(event []byte) bool { return strings.Contains(string(event), "?one") }
	if n := f.KillAt(fits); n != 1 {
		t.Errorf("killed %d", n)
	}
	if r := <-one; r.FunctionError == "" {
		t.Error("the one is still answered")
	}
	g.open()
	if r := <-two; r.FunctionError != "" {
		t.Errorf("the other one failed: %s", r.Payload)
	}
	if n := f.KillAt(fits); n != 0 {
		t.Errorf("killed %d, though none is at work on it any more", n)
	}
}

func TestNothingOutlivesClose(t *testing.T) {
	t.Parallel()
	var (
		mu   sync.Mutex
		pids []int
	)
	f := start(t, lambda.Config{
		MaxConcurrency: 3,
		OnFailure:      func(envelope []byte) { t.Errorf("delivered: %s", envelope) },
		Observe: func(e lambda.Event) {
			if e.Kind == lambda.ProcessStarted {
				mu.Lock()
				pids = append(pids, e.PID)
				mu.Unlock()
			}
		},
	})
	g := newGate(t)
	grandchild := pidOf(t, invoke(t, f, `{"do":"spawn"}`))
	errs := make(chan error, 1)
	go func() {
		_, err := f.Invoke(t.Context(), []byte(g.event("")))
		errs <- err
	}()
	<-g.arrived
	for range 5 {
		invokeAsync(t, f, g.event(""))
	}
	<-g.arrived
	<-g.arrived

	f.Close()

	if err := <-errs; !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("the invocation that was cut off returned %v", err)
	}
	if len(pids) != 3 {
		t.Errorf("%d processes, want 3", len(pids))
	}
	for _, pid := range pids {
		if !gone(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
	waitGone(t, grandchild)
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("Invoke after Close: %v", err)
	}
	if _, err := f.InvokeAsync([]byte(`{}`)); !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("InvokeAsync after Close: %v", err)
	}
	if _, err := f.Check(t.Context()); !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("Check after Close: %v", err)
	}
	f.Close() // again does nothing
}

// waitGone waits until a process that is not our child is dead: whoever adopted
// it may take a moment to reap it, and nothing tells us when.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	for range 500 {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if gone(pid) || err == nil && bytes.Contains(status, []byte(") Z ")) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}

func TestTheFunctionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	exited := make(chan lambda.Event, 10)
	ctx, cancel := context.WithCancel(t.Context())
	f, err := lambda.Start(ctx, lambda.Config{Name: "test", Binary: binary, Observe: func(e lambda.Event) {
		if e.Kind == lambda.ProcessExited {
			exited <- e
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	if e := <-exited; e.Failure != "Runtime exited with error: signal: killed" || !gone(e.PID) {
		t.Errorf("observed %+v", e)
	}
	f.Close()
}

func TestAFunctionOfAnEndedContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f, err := lambda.Start(ctx, lambda.Config{Name: "test", Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	f.Close() // waits for the closing that has begun
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("Invoke: %v", err)
	}
}

// A function's processes must die with a parent that had no time to clear up.
func TestNothingOutlivesAKilledParent(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can tie a process's life to its parent's")
	}
	g := newGate(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "PARENT_TO_BE_KILLED="+g.url, "FUNCTION="+binary)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer parent.Wait()
	defer parent.Process.Kill()
	select {
	case <-g.arrived:
	case <-time.After(time.Minute):
		t.Fatal("the function never came to work")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-g.lost: // the function's connection broke: it is dead
	case <-time.After(time.Minute):
		t.Error("the function outlived its parent")
	}
}

// beParent runs a function until it is killed.
func beParent(url string) int {
	f, err := lambda.Start(context.Background(), lambda.Config{Name: "test", Binary: os.Getenv("FUNCTION"), Timeout: time.Minute})
	if err == nil {
		_, err = f.Invoke(context.Background(), fmt.Appendf(nil, `{"do":"get","url":%q}`, url))
	}
	fmt.Fprintln(os.Stderr, "not killed in time:", err)
	return 1
}

// lines collects what is written, Write by Write.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(p))
	return len(p), nil
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	var log lines
	f := start(t, lambda.Config{Log: &log})
	invoke(t, f, `{"do":"log"}`)
	f.Close()
	long := 0
	var short []string
	for _, line := range log.all {
		if !strings.HasSuffix(line, "\n") || strings.Count(line, "\n") != 1 {
			t.Errorf("written: %q", line)
		}
		if strings.HasPrefix(line, "x") {
			long += len(line) - 1
			if len(line) > 300<<10 {
				t.Errorf("a line of %d bytes", len(line))
			}
			continue
		}
		short = append(short, line)
	}
	if got := fmt.Sprintf("%q", short); got != `["one\n" "two\n" "no end\n"]` {
		t.Errorf("short lines %s", got)
	}
	if long != 300<<10 {
		t.Errorf("%d bytes of the long line", long)
	}
}

// A process cannot answer for another's invocation.
func TestTheRuntimeAPIRefusesForeignAnswers(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{MaxConcurrency: 1})
	var seen struct{ Environment []string }
	if err := json.Unmarshal(invoke(t, f, `{"do":"describe"}`).Payload, &seen); err != nil {
		t.Fatal(err)
	}
	var api string
	for _, variable := range seen.Environment {
		if address, ok := strings.CutPrefix(variable, "AWS_LAMBDA_RUNTIME_API="); ok {
			api = address
		}
	}
	g := newGate(t)
	result := invokeInBackground(t, f, g.event(""))
	<-g.arrived
	for _, path := range []string{"invocation/other/response", "invocation/other/error"} {
		response, err := http.Post("http://"+api+"/2018-06-01/runtime/"+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("POST %s: %s", path, response.Status)
		}
	}
	g.open()
	pidOf(t, <-result) // its own answer, unharmed
}
