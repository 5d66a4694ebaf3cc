package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ittybit-media/scripts/local/aws/lambda"
)

const arn = "arn:aws:lambda:eu-west-1:123456789012:function:test"

var binary string // of testdata/function

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if url := os.Getenv("PARENT_TO_BE_KILLED"); url != "" {
		return beParent(url)
	}
	dir, err := os.MkdirTemp("", "lambda-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", binary, "./testdata/function")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the function: %v\n%s", err, output)
		return 1
	}
	os.Setenv("SECRET_OF_THE_PARENT", "must not leak")
	return m.Run()
}

// start starts a function that the end of the test closes.
func start(t *testing.T, cfg lambda.Config) *lambda.Function {
	t.Helper()
	cfg.Name, cfg.ARN = "test", arn
	if cfg.Binary == "" {
		cfg.Binary = binary
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute // the machine may be busy
	}
	f, err := lambda.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func invoke(t *testing.T, f *lambda.Function, payload string) lambda.Result {
	t.Helper()
	result, err := f.Invoke(t.Context(), []byte(payload))
	if err != nil {
		t.Fatalf("Invoke(%s): %v", payload, err)
	}
	return result
}

// invokeInBackground returns where the result will come.
func invokeInBackground(t *testing.T, f *lambda.Function, payload string) <-chan lambda.Result {
	results := make(chan lambda.Result, 1)
	go func() {
		result, err := f.Invoke(t.Context(), []byte(payload))
		if err != nil {
			t.Errorf("Invoke(%s): %v", payload, err)
		}
		results <- result
	}()
	return results
}

// functionError is what a failed invocation says.
type functionError struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

func wantFailure(t *testing.T, r lambda.Result, kind, message string) {
	t.Helper()
	if r.FunctionError != "Unhandled" {
		t.Errorf("function error %q, want Unhandled", r.FunctionError)
	}
	var got functionError
	if err := json.Unmarshal(r.Payload, &got); err != nil {
		t.Fatalf("payload %s: %v", r.Payload, err)
	}
	if got.Type != kind || got.Message != message {
		t.Errorf("failed with %+v\nwant {%s %s}", got, message, kind)
	}
}

func wantEcho(t *testing.T, f *lambda.Function, payload string) {
	t.Helper()
	if r := invoke(t, f, payload); r.FunctionError != "" || string(r.Payload) != payload {
		t.Errorf("answer %+v, payload %s; want %s", r, r.Payload, payload)
	}
}

func pidOf(t *testing.T, r lambda.Result) int {
	t.Helper()
	pid, err := strconv.Atoi(string(r.Payload))
	if err != nil || r.FunctionError != "" {
		t.Fatalf("answer %s %s", r.FunctionError, r.Payload)
	}
	return pid
}

// gone reports whether there is no such process, not even one to be reaped.
func gone(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return true
	}
	defer p.Release()
	return errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// gate holds the invocations that get its URL until it is opened.
type gate struct {
	url      string
	arrived  chan string // the request's query, as each one comes
	lost     chan string // as each one's process goes away
	opened   chan struct{}
	open     func()
	now, max atomic.Int64
}

func newGate(t *testing.T) *gate {
	g := &gate{arrived: make(chan string, 1000), lost: make(chan string, 1000), opened: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.opened) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := g.now.Add(1)
		defer g.now.Add(-1)
		for most := g.max.Load(); now > most && !g.max.CompareAndSwap(most, now); most = g.max.Load() {
		}
		g.arrived <- r.URL.RawQuery
		select {
		case <-g.opened:
		case <-r.Context().Done():
			g.lost <- r.URL.RawQuery
		}
	}))
	g.url = server.URL
	t.Cleanup(server.Close)
	t.Cleanup(g.open)
	return g
}

func (g *gate) event(query string) string {
	return fmt.Sprintf(`{"do":"get","url":"%s?%s"}`, g.url, query)
}
