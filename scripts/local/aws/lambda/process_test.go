package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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
