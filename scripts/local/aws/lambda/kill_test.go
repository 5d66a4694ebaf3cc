package lambda_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/scripts/local/aws/lambda"
)

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
