package operator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/operator"
	"ittybit-media/scripts/local/access"
	"ittybit-media/scripts/local/pipelinetest"
)

// script is one that does what the test says.
func script(run func(context.Context, *operator.Call) error) operator.Script {
	return operator.Script{
		Name: "try", Usage: "Try something.\n\n  go run ./scripts/try\n", Changes: true,
		Flags: func(flags *flag.FlagSet) func(context.Context, *operator.Call) error {
			flags.Int("limit", 0, "how many")
			return run
		},
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args   []string
		run    func(context.Context, *operator.Call) error
		code   int
		stderr string // part of it
	}{
		"help":          {args: []string{"-h"}, stderr: "Try something."},
		"help's flags":  {args: []string{"-h"}, stderr: "-dry-run"},
		"unknown flag":  {args: []string{"-no"}, code: operator.ExitUsage, stderr: "go run ./scripts/try -h says how it is used"},
		"flag too late": {args: []string{"a key", "-limit"}, code: operator.ExitUsage, stderr: "-limit comes too late"},
		"done":          {},
		"failed":        {run: func(context.Context, *operator.Call) error { return errors.New("it broke") }, code: operator.ExitFailed, stderr: "try: it broke\n"},
		"wrong": {
			run: func(context.Context, *operator.Call) error {
				return fmt.Errorf("no: %w", operator.Usagef("say %s", "which"))
			},
			code: operator.ExitUsage, stderr: "try: no: say which\n",
		},
		"no terminal to ask at": {
			run:  func(ctx context.Context, c *operator.Call) error { return c.Confirm(ctx, "sure?") },
			code: operator.ExitUsage, stderr: "-yes does it without asking",
		},
		"no need to ask": {args: []string{"-yes"}, run: func(ctx context.Context, c *operator.Call) error { return c.Confirm(ctx, "sure?") }},
		"a secret": {
			run:  func(context.Context, *operator.Call) error { return errors.New("GET /webhook?token=abc.def") },
			code: operator.ExitFailed, stderr: "token=[redacted]",
		},
		"denied": {
			run: func(context.Context, *operator.Call) error {
				return fmt.Errorf("listing: %w", &smithy.GenericAPIError{Code: "AccessDenied", Message: "not you"})
			},
			code: operator.ExitFailed, stderr: "have this action allowed",
		},
		"nobody": {
			run: func(context.Context, *operator.Call) error {
				return errors.New("operation error STS: GetCallerIdentity, get identity: get credentials: no EC2 IMDS role found")
			},
			code: operator.ExitFailed, stderr: "try: there are no AWS credentials",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := tt.run
			if run == nil {
				run = func(context.Context, *operator.Call) error { return nil }
			}
			var stdout, stderr bytes.Buffer
			code := script(run).Run(t.Context(), tt.args, strings.NewReader("y\n"), &stdout, &stderr)
			if code != tt.code || !strings.Contains(stderr.String(), tt.stderr) || (tt.stderr == "") != (stderr.Len() == 0) {
				t.Errorf("exit code %d, said %q", code, stderr.String())
			}
			if stdout.Len() > 0 {
				t.Errorf("standard output has %q", stdout.String())
			}
		})
	}
}

func TestWhatACallKnows(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		want func(*operator.Call) bool
	}{
		"the defaults":        {nil, func(c *operator.Call) bool { return c.Stack == "dev" && c.Local == "" && !c.JSON && !c.DryRun }},
		"a stack":             {[]string{"-stack", "prod", "key"}, func(c *operator.Call) bool { return c.Stack == "prod" && len(c.Args) == 1 && c.Args[0] == "key" }},
		"a local run":         {[]string{"-local", "key"}, func(c *operator.Call) bool { return c.Local != "" && len(c.Args) == 1 }},
		"a certain local run": {[]string{"-local=/tmp/x"}, func(c *operator.Call) bool { return c.Local == "/tmp/x" }},
		"switches":            {[]string{"-json", "-dry-run"}, func(c *operator.Call) bool { return c.JSON && c.DryRun }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			code := script(func(_ context.Context, c *operator.Call) error {
				if !tt.want(c) {
					t.Errorf("%+v", c)
				}
				return nil
			}).Run(t.Context(), tt.args, nil, &out, &out)
			if code != operator.ExitOK {
				t.Error(out.String())
			}
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	var out, errout bytes.Buffer
	code := script(func(context.Context, *operator.Call) error { return errors.New("it runs") }).Run(t.Context(), []string{"-version"}, nil, &out, &errout)
	if code != operator.ExitOK || !strings.HasPrefix(out.String(), "ittybit-media ") || !strings.Contains(out.String(), runtime.Version()) || errout.Len() > 0 {
		t.Errorf("%d, %q, %q", code, out.String(), errout.String())
	}
}

func TestAnInterruptionIsSaid(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	code := script(func(ctx context.Context, _ *operator.Call) error {
		cancel()
		return fmt.Errorf("listing: %w", ctx.Err())
	}).Run(ctx, nil, nil, &out, &out)
	if code != operator.ExitFailed || out.String() != "try: interrupted\n" {
		t.Errorf("%d, %q", code, out.String())
	}
}

// What went wrong beside the interruption is not lost.
func TestAnInterruptionHidesNothingElse(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	code := script(func(ctx context.Context, _ *operator.Call) error {
		cancel()
		return errors.Join(fmt.Errorf("listing: %w", ctx.Err()), errors.New("not tidied up"))
	}).Run(ctx, nil, nil, &out, &out)
	if code != operator.ExitFailed || out.String() != "try: interrupted\nnot tidied up\n" {
		t.Errorf("%d, %q", code, out.String())
	}
}

func TestWhatHasBegunIsFinished(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	finish, cancel := operator.Finish(ctx)
	defer cancel()
	if _, limited := finish.Deadline(); finish.Err() != nil || !limited {
		t.Errorf("%v, %v", finish.Err(), limited)
	}
}

func TestTheTime(t *testing.T) {
	t.Parallel()
	if d := time.Since(operator.Now(t.Context())); d < 0 || d > time.Minute {
		t.Errorf("%v off the wall", d)
	}
	then := time.Date(2026, 11, 24, 10, 0, 0, 0, time.FixedZone("", 3600))
	if got := operator.Now(operator.WithClock(t.Context(), func() time.Time { return then })); !got.Equal(then) {
		t.Error(got)
	}
	if got := operator.Time(then); got != "2026-11-24 09:00:00 UTC" {
		t.Error(got)
	}
	if got := operator.Time(time.Time{}); got != "-" {
		t.Error(got)
	}
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 1234 * time.Millisecond: "1.2 s", -3 * time.Second: "-3.0 s", 90 * time.Second: "90 s",
		15 * time.Minute: "15 min", 90 * time.Minute: "90 min", 24 * time.Hour: "24 h", 73 * time.Hour: "3 days",
	} {
		if got := operator.Roughly(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://x/a.mp4":                            "https://x/a.mp4",
		"https://x/a.mp4?X-Amz-Signature=abc&b=c":    "https://x/a.mp4?[redacted]",
		"s3://my-bucket/ittybit-output/what?why.mp4": "s3://my-bucket/ittybit-output/what?why.mp4",
		"": "",
	} {
		if got := operator.OutputURL(url); got != want {
			t.Errorf("%s: %s", url, got)
		}
	}
	for n, want := range map[int]string{0: "0 jobs", 1: "1 job", 2: "2 jobs"} {
		if got := operator.Count(n, "job"); got != want {
			t.Error(got)
		}
	}
	if got := operator.OneLine("  one\n\x1btwo?token=abc\n"); got != "  one; \uFFFDtwo?token=[redacted]" {
		t.Errorf("%q", got)
	}
	for want, target := range map[string]operator.Target{
		"go run ./scripts/jobs -stack prod -retry ":     {Stack: "prod"},
		"go run ./scripts/jobs -local -retry ":          {Stack: "dev", Local: "true"},
		"go run ./scripts/jobs -local=/tmp/run -retry ": {Stack: "dev", Local: "/tmp/run"},
	} {
		for key, quoted := range map[string]string{
			"uploads/a.mov": "uploads/a.mov", "a b.mov": "'a b.mov'", "it's": `'it'\''s'`, "$(x)\x1b": "'$(x)\uFFFD'", "": "''",
		} {
			if got := target.Command("jobs", "-retry", key); got != want+quoted {
				t.Errorf("%s, want %s%s", got, want, quoted)
			}
		}
	}
}

func TestWhatIsAnswered(t *testing.T) {
	t.Parallel()
	for answer, code := range map[string]int{"y\n": operator.ExitOK, "Yes\n": operator.ExitOK, "n\n": operator.ExitFailed, "\n": operator.ExitFailed, "yes, no\n": operator.ExitFailed} {
		var out bytes.Buffer
		s := script(func(ctx context.Context, c *operator.Call) error { return c.Confirm(ctx, "sure?") })
		if got := s.Run(t.Context(), nil, pipelinetest.Terminal(t, answer), &out, &out); got != code || !strings.HasPrefix(out.String(), "sure? [y/N] ") {
			t.Errorf("%q: %d, %q", answer, got, out.String())
		}
	}
}

func TestAQuestionCanBeInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel) // before or after it asks
	var out bytes.Buffer
	code := script(func(ctx context.Context, c *operator.Call) error { return c.Confirm(ctx, "sure?") }).Run(ctx, nil, pipelinetest.Terminal(t, ""), &out, &out)
	if code != operator.ExitFailed || out.String() != "sure? [y/N] \ntry: interrupted\n" {
		t.Errorf("%d, %q", code, out.String())
	}
}

func TestJSONIsOneLineOnStandardOutput(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	script(func(_ context.Context, c *operator.Call) error {
		c.Say("for people")
		return c.PrintJSON(map[string]string{"key": "a&b"})
	}).Run(t.Context(), []string{"-json"}, nil, &stdout, &stderr)
	if stdout.String() != "{\"key\":\"a&b\"}\n" || stderr.String() != "for people\n" {
		t.Errorf("%q and %q", stdout.String(), stderr.String())
	}
}

// pulumi puts a Pulumi CLI on PATH that answers as it is told.
func pulumi(t *testing.T, stdout, stderr string, code int) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"out": stdout, "err": stderr} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := fmt.Sprintf("#!/bin/sh\ncat %[1]s/err >&2\n[ \"$*\" = 'stack output --json --stack prod --non-interactive' ] || { echo \"called with $*\" >&2; exit 9; }\ncat %[1]s/out\nexit %[2]d\n", dir, code)
	if err := os.WriteFile(filepath.Join(dir, "pulumi"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+"/bin"+string(os.PathListSeparator)+"/usr/bin")
}

func outputs(t *testing.T) stack.Outputs {
	t.Helper()
	config, _, err := stack.Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := config.Settings()
	if err != nil {
		t.Fatal(err)
	}
	return stack.Outputs{
		Region: "eu-west-1", Bucket: "b", Table: "t", WebhookURL: "https://x/webhook", Rule: "r",
		RetryQueueURL: "https://q/retry", DeadLetterQueueURL: "https://q/dead",
		Functions: map[string]string{"dispatch": "d"}, LogGroups: map[string]string{"dispatch": "/d"},
		Settings: settings, ConnectionPolicy: "{}", Console: map[string]string{"bucket": "https://c"},
	}
}

func TestTheOutputsOfAStack(t *testing.T) {
	all, err := json.Marshal(outputs(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		stdout, stderr string
		code           int
		wants          string // part of the error; "": none
		undeployed     bool
	}{
		"deployed":     {stdout: string(all)},
		"not deployed": {stdout: "{}", wants: "run pulumi up --stack prod", undeployed: true},
		"not there":    {stderr: "error: no stack named 'prod' found", code: 255, wants: "pulumi stack init prod", undeployed: true},
		"outdated":     {stdout: `{"region":"eu-west-1"}`, wants: "an older version deployed it"},
		"logged out":   {stderr: "error: PULUMI_ACCESS_TOKEN must be set for login", code: 1, wants: "run pulumi login"},
		"locked":       {stderr: "error: passphrase must be set", code: 1, wants: "PULUMI_CONFIG_PASSPHRASE"},
	} {
		t.Run(name, func(t *testing.T) {
			pulumi(t, tt.stdout, tt.stderr, tt.code)
			s, err := operator.Target{Stack: "prod"}.Connect(t.Context())
			switch {
			case tt.wants == "" && (err != nil || s.Outputs.Bucket != "b" || s.AWS().Region != "eu-west-1" || s.Local):
				t.Errorf("%+v, %v", s, err)
			case tt.wants != "" && (err == nil || !strings.Contains(err.Error(), tt.wants)):
				t.Errorf("%v does not say %q", err, tt.wants)
			case errors.Is(err, operator.ErrNotDeployed) != tt.undeployed:
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("no Pulumi", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if _, err := (operator.Target{Stack: "prod"}).Connect(t.Context()); !errors.Is(err, operator.ErrNoPulumi) || !strings.Contains(err.Error(), "-local") {
			t.Error(err)
		}
	})
}

func TestALocalRunStandsForAStack(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "folder", "local.json")
	target := operator.Target{Stack: "dev", Local: file}
	if _, err := target.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "go run ./scripts/local") {
		t.Error(err)
	}
	local := access.Access{Outputs: outputs(t), AWSURL: "http://127.0.0.1:1", S3URL: "http://127.0.0.1:2", AccessKey: "k", SecretKey: "s", PID: os.Getpid()}
	if err := local.Write(file); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Error("others can read the keys")
	}
	s, err := target.Connect(t.Context())
	if err != nil || !s.Local || s.Outputs.Table != "t" || *s.AWS().BaseEndpoint != local.AWSURL || *s.S3().Options().BaseEndpoint != local.S3URL {
		t.Errorf("%+v, %v", s, err)
	}
	local.PID = 1 << 30
	if err := local.Write(file); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Error(err)
	}
}
