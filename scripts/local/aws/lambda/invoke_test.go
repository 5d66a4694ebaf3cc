package lambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/scripts/local/aws/lambda"
)

func TestPayloadsPassUnchanged(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{})
	wantEcho(t, f, "{ \"do\" : \"echo\",\n\t\"text\": \"<é> & \\u00e9\" }")
}

// The function is told the time that it is to live in; the machine's ends it.
func TestDeadlinesAreByTheGivenClock(t *testing.T) {
	t.Parallel()
	const days = 72 * time.Hour
	f := start(t, lambda.Config{Timeout: time.Minute, Now: func() time.Time { return time.Now().Add(days) }})
	var seen struct{ Left float64 }
	if err := json.Unmarshal(invoke(t, f, `{"do":"describe"}`).Payload, &seen); err != nil {
		t.Fatal(err)
	}
	if left := time.Duration(seen.Left * float64(time.Second)); left < days || left > days+time.Minute {
		t.Errorf("%v left, want three days and a minute", left)
	}
	short := start(t, lambda.Config{Timeout: 300 * time.Millisecond, Now: func() time.Time { return time.Now().Add(days) }})
	if r := invoke(t, short, `{"do":"hang"}`); r.FunctionError == "" || !strings.Contains(string(r.Payload), "Task timed out") {
		t.Errorf("answer %s", r.Payload)
	}
}

func TestWhatAFunctionSees(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := start(t, lambda.Config{Dir: dir, MemoryMB: 256, Timeout: 40 * time.Second, Env: map[string]string{"TABLE_NAME": "results", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"}})
	r := invoke(t, f, `{"do":"describe"}`)
	var seen struct {
		Environment         []string
		Dir, RequestID, ARN string
		Left                float64
		Memory              int
	}
	if err := json.Unmarshal(r.Payload, &seen); err != nil {
		t.Fatal(err)
	}
	if seen.Dir != dir || seen.ARN != arn || seen.Memory != 256 || seen.RequestID != r.RequestID || r.RequestID == "" {
		t.Errorf("it sees %+v", seen)
	}
	if seen.Left <= 20 || seen.Left > 40 {
		t.Errorf("%.1f seconds left of 40", seen.Left)
	}
	want := []string{
		"AWS_DEFAULT_REGION=eu-west-1",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256",
		"AWS_LAMBDA_FUNCTION_NAME=test",
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_FORMAT=JSON",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/test",
		"AWS_LAMBDA_LOG_LEVEL=DEBUG",
		"AWS_LAMBDA_LOG_STREAM_NAME=local",
		"AWS_LAMBDA_RUNTIME_API=",
		"AWS_REGION=eu-west-1",
		"LAMBDA_TASK_ROOT=" + dir,
		"LANG=en_US.UTF-8",
		"PATH=/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"TABLE_NAME=results",
		"TZ=:UTC",
		"_HANDLER=bootstrap",
		"_X_AMZN_TRACE_ID=", // set by aws-lambda-go, from the event's header
	}
	var got []string
	for _, variable := range seen.Environment {
		for _, changing := range []string{"AWS_LAMBDA_RUNTIME_API=", "_X_AMZN_TRACE_ID="} {
			if value, ok := strings.CutPrefix(variable, changing); ok && value != "" {
				variable = changing
			}
		}
		got = append(got, variable)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("environment\n%q\nwant\n%q", got, want)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, event   string
		timeout       time.Duration
		kind, message string // with %s for the request id
	}{
		{"an error", `{"do":"fail"}`, 0, "errorString", "it was told to fail"},
		{"a panic", `{"do":"panic"}`, 0, "string", "it was told to panic"},
		{"an exit", `{"do":"exit","code":3}`, 0, "Runtime.ExitError", "RequestId: %s Error: Runtime exited with error: exit status 3"},
		{"an exit without an error", `{"do":"exit"}`, 0, "Runtime.ExitError", "RequestId: %s Error: Runtime exited without providing a reason"},
		{"a timeout", `{"do":"hang"}`, 1500 * time.Millisecond, "Sandbox.Timedout", "RequestId: %s Error: Task timed out after 1.50 seconds"},
		{"too large an answer", `{"do":"large"}`, 0, "Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (6291456 bytes)."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, lambda.Config{Timeout: test.timeout, MaxConcurrency: 1})
			r := invoke(t, f, test.event)
			message := test.message
			if strings.Contains(message, "%s") {
				message = fmt.Sprintf(message, r.RequestID)
			}
			wantFailure(t, r, test.kind, message)
			wantEcho(t, f, `{"do":"echo"}`)
			if s := f.Stats(); s.Invocations != 2 || s.Failures != 1 {
				t.Errorf("counted %+v", s)
			}
		})
	}
}

func TestAProcessIsUsedAgain(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{MaxConcurrency: 1})
	g := newGate(t)
	g.open()
	first := pidOf(t, invoke(t, f, g.event("1")))
	wantFailure(t, invoke(t, f, `{"do":"fail"}`), "errorString", "it was told to fail")
	if second := pidOf(t, invoke(t, f, g.event("2"))); second != first {
		t.Errorf("process %d, then %d", first, second)
	}
	if s := f.Stats(); s.Processes != 1 {
		t.Errorf("%d processes were started", s.Processes)
	}
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{MaxConcurrency: 3})
	g := newGate(t)
	pids := make(chan int, 9)
	var callers sync.WaitGroup
	for i := range 9 {
		callers.Go(func() {
			r, err := f.Invoke(t.Context(), []byte(g.event(fmt.Sprint(i))))
			if err != nil {
				t.Errorf("Invoke: %v", err)
				return
			}
			pids <- pidOf(t, r)
		})
	}
	for range 3 {
		<-g.arrived
	}
	if s := f.Stats(); s.Busy != 3 || s.Warm != 0 {
		t.Errorf("with everyone at work: %+v", s)
	}
	g.open()
	callers.Wait()
	close(pids)
	distinct := map[int]bool{}
	for pid := range pids {
		distinct[pid] = true
	}
	if most := g.max.Load(); most != 3 || len(distinct) != 3 {
		t.Errorf("%d at a time, %d processes; want 3 and 3", most, len(distinct))
	}
}

func TestAnswersAreNotMixedUp(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{MaxConcurrency: 4})
	var callers sync.WaitGroup
	for i := range 200 {
		callers.Go(func() {
			payload := fmt.Sprintf(`{"do":"echo","n":%d}`, i)
			r, err := f.Invoke(t.Context(), []byte(payload))
			if err != nil || string(r.Payload) != payload {
				t.Errorf("Invoke(%s) = %s, %v", payload, r.Payload, err)
			}
		})
	}
	callers.Wait()
}

func TestInvokeRefuses(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{})
	for name, payload := range map[string][]byte{
		"nothing":   nil,
		"no JSON":   []byte(`{"a":`),
		"too large": bytes.Repeat([]byte(" "), lambda.MaxPayload+1),
	} {
		if _, err := f.Invoke(t.Context(), payload); err == nil {
			t.Errorf("Invoke took %s", name)
		}
		if _, err := f.InvokeAsync(payload); err == nil {
			t.Errorf("InvokeAsync took %s", name)
		}
	}
	if _, err := f.InvokeAsync([]byte(`"` + strings.Repeat("a", lambda.MaxAsyncPayload) + `"`)); err == nil {
		t.Error("InvokeAsync took more than 1 MB")
	}
	if s := f.Stats(); s.Processes != 0 {
		t.Errorf("%d processes were started for nothing", s.Processes)
	}
}

func TestACallerCanLeave(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{MaxConcurrency: 1})
	g := newGate(t)
	cause := errors.New("no patience")
	ctx, leave := context.WithCancelCause(t.Context())
	errs := make(chan error, 1)
	go func() {
		_, err := f.Invoke(ctx, []byte(g.event("")))
		errs <- err
	}()
	<-g.arrived
	leave(cause)
	if err := <-errs; !errors.Is(err, cause) {
		t.Errorf("the caller of a running invocation got %v", err)
	}
	// The invocation goes on, so the next caller waits, and can leave as well.
	if _, err := f.Invoke(ctx, []byte(`{"do":"echo"}`)); !errors.Is(err, cause) {
		t.Errorf("the waiting caller got %v", err)
	}
	g.open()
	wantEcho(t, f, `{"do":"echo"}`)
	if s := f.Stats(); s.Processes != 1 || s.Failures != 0 || s.Invocations != 2 || s.Waiting != 0 {
		t.Errorf("counted %+v", s)
	}
}
