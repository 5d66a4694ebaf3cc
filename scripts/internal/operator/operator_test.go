package operator_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
	"ittybit-media/scripts/local/access"
	"ittybit-media/scripts/local/pipelinetest"
)

// try runs a command for a stack that does what run says.
func try(t *testing.T, run func(context.Context, *operator.Call) error, args ...string) pipelinetest.Result {
	declare := func(*flag.FlagSet) func(context.Context, *operator.Call) error { return run }
	return pipelinetest.Do(t.Context(), operator.Command("try", "Try something.\n", declare), args...)
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		want operator.Target
	}{
		"the default":         {nil, operator.Target{Stack: "dev"}},
		"a stack":             {[]string{"-stack", "prod", "key"}, operator.Target{Stack: "prod"}},
		"a local run":         {[]string{"-local", "key"}, operator.Target{Stack: "dev", Local: "true"}},
		"a certain local run": {[]string{"-local=/tmp/x", "key"}, operator.Target{Stack: "dev", Local: "/tmp/x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := try(t, func(_ context.Context, c *operator.Call) error {
				if c.Target != tt.want || tt.args != nil && (len(c.Args) != 1 || c.Args[0] != "key") {
					t.Errorf("%+v, %q", c.Target, c.Args)
				}
				return nil
			}, tt.args...)
			if got.Code != cli.ExitOK || got.Stderr != "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"a secret": {errors.New("GET /webhook?token=abc.def"), "token=[redacted]"},
		"denied":   {fmt.Errorf("listing: %w", &smithy.GenericAPIError{Code: "AccessDenied", Message: "not you"}), "have this action allowed"},
		"no credentials": {
			errors.New("operation error STS: GetCallerIdentity, get identity: get credentials: no EC2 IMDS role found"),
			"try: there are no AWS credentials",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := try(t, func(context.Context, *operator.Call) error { return tt.err })
			if got.Code != cli.ExitFailed || !strings.Contains(got.Stderr, tt.want) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestCommandLinesForTheSameTarget(t *testing.T) {
	t.Parallel()
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

func TestOutputURLsHaveNoSignature(t *testing.T) {
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
