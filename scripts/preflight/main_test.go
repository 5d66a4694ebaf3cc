package main

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/infra/bundle"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/endpoint"
)

// order is that of the checks.
var order = []string{
	"stack file", "go", "pulumi", "pulumi login", "credentials", "region", "deployed", "bucket",
	"notifications", "api key", "webhook secret", "ittybit", "connection", "event bus", "concurrency",
}

func TestNothingIsToBeFixed(t *testing.T) {
	w := newWorld(t)
	r := w.onAWS("-json")
	var checks []string
	for _, f := range r.findings(t) {
		checks = append(checks, f.Check)
		want := ok
		if f.Check == "deployed" {
			want = skip
		}
		if f.Status != want || f.How != "" {
			t.Errorf("%+v", f)
		}
	}
	if !slices.Equal(checks, order) {
		t.Errorf("checks %q", checks)
	}
	if r.Code != cli.ExitOK || r.Stderr != "Nothing is to be fixed.\n" {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	for _, write := range []string{"PUT ?notification", "PutSecretValue"} {
		if w.toS3.count(write)+w.toAWS.count(write) > 0 {
			t.Errorf("%s was called", write)
		}
	}
	people := w.onAWS()
	lines := strings.Split(people.Stdout, "\n")
	if len(lines) != len(order)+2 || !strings.HasPrefix(lines[0], "ok    stack file      Pulumi.dev.yaml: 1 route with 3 jobs") || lines[len(order)] != "Nothing is to be fixed." {
		t.Errorf("%q", lines)
	}
}

func TestALocalRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// The file is as the one of a new checkout: it names no bucket and no key.
	w.set("bucketName", nil)
	w.set("manageNotifications", nil)
	w.set("ittybitApiKeySecret", nil)
	w.set("ittybitApiUrl", "https://api.ittybit.com")
	w.set("aws:region", "eu-west-1")
	w.set("webhookAuth", nil)
	w.set("ittybitWebhookSecret", nil)
	skips := []string{"pulumi", "pulumi login", "deployed", "webhook secret", "event bus"}
	r := w.local("-json")
	for _, f := range r.findings(t) {
		want := ok
		if slices.Contains(skips, f.Check) {
			want = skip
		}
		if f.Status != want {
			t.Errorf("%+v", f)
		}
	}
	if r.Code != cli.ExitOK {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
	w.foreign()
	if r := w.local(); r.Code != cli.ExitFailed || !strings.Contains(r.Stdout, "EventBridge is off") || !strings.Contains(r.Stdout, "go run ./scripts/preflight -local=") || !strings.Contains(r.Stdout, "local.json -enable-eventbridge") {
		t.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

func TestWhatIsNotPreflights(t *testing.T) {
	t.Parallel()
	w := &world{t: t, root: t.TempDir()}
	for _, args := range [][]string{{"dev"}, {"-retry"}} {
		if r := w.run(t.Context(), args...); r.Code != cli.ExitUsage || r.Stdout != "" {
			t.Errorf("%q: exit code %d, %s%s", args, r.Code, r.Stdout, r.Stderr)
		}
	}
	if r := w.run(t.Context(), "-h"); r.Code != cli.ExitOK || !strings.Contains(r.Stderr, "-enable-eventbridge") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	if r := w.run(t.Context(), "-local="+filepath.Join(w.root, "none.json")); r.Code != cli.ExitFailed || !strings.Contains(r.Stderr, "go run ./scripts/local") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
}

// What an interruption cuts short is not a finding.
func TestAnInterruptionFindsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.toAWS.answer("POST /", func(http.ResponseWriter, *http.Request) {
		cancel()
		panic(http.ErrAbortHandler)
	})
	r := w.run(ctx, w.localFlag(), "-json")
	if r.Code != cli.ExitFailed || r.Stderr != "preflight: interrupted\n" {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	for _, f := range r.findings(t) {
		if f.Status == fix {
			t.Errorf("%+v", f)
		}
	}
}

// A CLI that does not answer is not waited for.
func TestPatienceEnds(t *testing.T) {
	before := patience
	t.Cleanup(func() { patience = before })
	w := newWorld(t)
	w.write("pulumi/whoami.hangs", "")
	patience = 300 * time.Millisecond
	r := w.onAWS("-json")
	if r.Code != cli.ExitFailed || !slices.ContainsFunc(r.findings(t), func(f finding) bool {
		return f.Check == "pulumi login" && f.Status == fix && f.Detail == "there was no answer in time"
	}) {
		t.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

func TestThrottlingIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.AccessKey == w.AccessKey && c.Ordinal == 1 {
			return endpoint.Throttled(c)
		}
		return nil
	})
	if r := w.local(); r.Code != cli.ExitOK || w.toAWS.count("POST /") < 2 {
		t.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

func TestTheExamplesConnectionIsTheStackFiles(t *testing.T) {
	t.Parallel()
	root, err := bundle.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Pulumi.dev.yaml", "Pulumi.prod.yaml"} {
		values, err := stack.ReadFile(filepath.Join(root, name))
		if err != nil || values["connectionId"] != exampleConnection {
			t.Errorf("%s: %v, %v", name, values["connectionId"], err)
		}
	}
}
