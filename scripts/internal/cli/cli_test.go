package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/pipelinetest"
)

// A long list is printed as it is read: a table keeps at most 100 rows.
func TestATableIsPrintedAsItGrows(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	table := cli.NewTable(&out, "KEY", "STATE")
	for i := range 200 {
		table.Row("a\x1b\tb", "")
		if printed := strings.Count(out.String(), "\n"); i+2-printed > 100 {
			t.Fatalf("%d of %d lines are kept", i+2-printed, i+2)
		}
	}
	if err := table.Flush(); err != nil || !strings.HasPrefix(out.String(), "KEY   STATE\na\uFFFD\uFFFDb  -\n") || strings.Count(out.String(), "\n") != 201 {
		t.Errorf("%v, %q", err, out.String()[:40])
	}
}

// On a terminal, progress is drawn over: lines that have not changed are left
// alone, and nothing of it stays.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	screen, user := pipelinetest.Terminal(t, "")
	p := (&cli.Call{Err: screen}).Progress()
	p.Draw("one", "two")
	p.Draw("one", "two")
	p.Draw("three")
	p.End()
	p.End()
	if _, err := screen.WriteString("over."); err != nil {
		t.Fatal(err)
	}
	shown, err := bufio.NewReader(user).ReadString('.')
	const want = "\x1b[?7lone\x1b[?7h\r\n\x1b[?7ltwo\x1b[?7h\r\n\x1b[2A\x1b[J\x1b[?7lthree\x1b[?7h\r\n\x1b[1A\x1b[Jover."
	if err != nil || shown != want || !p.Live() {
		t.Errorf("%v, %q, want %q", err, shown, want)
	}
}

func TestProgressElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := (&cli.Call{Err: &out}).Progress()
		p.Draw("one")
		for i := range 21 { // a line every ten seconds
			p.Show(func() string { return fmt.Sprint(i) })
			time.Sleep(time.Second)
		}
		p.End()
		if out.String() != "10\n20\n" || p.Live() {
			t.Errorf("%q", out.String())
		}
	})
}

// script is one that does what the test says.
func script(run func(context.Context, *cli.Call) error) cli.Command {
	return cli.Command{
		Name: "try", Usage: "Try something.\n\n  go run ./scripts/try\n", Changes: true,
		Flags: func(flags *flag.FlagSet) func(context.Context, *cli.Call) error {
			flags.Int("limit", 0, "how many")
			return run
		},
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args   []string
		run    func(context.Context, *cli.Call) error
		code   int
		stderr string // part of it
	}{
		"help":          {args: []string{"-h"}, stderr: "Try something."},
		"help's flags":  {args: []string{"-h"}, stderr: "-dry-run"},
		"unknown flag":  {args: []string{"-no"}, code: cli.ExitUsage, stderr: "go run ./scripts/try -h says how it is used"},
		"flag too late": {args: []string{"a key", "-limit"}, code: cli.ExitUsage, stderr: "-limit comes too late"},
		"done":          {},
		"failed":        {run: func(context.Context, *cli.Call) error { return errors.New("it broke") }, code: cli.ExitFailed, stderr: "try: it broke\n"},
		"wrong": {
			run: func(context.Context, *cli.Call) error {
				return fmt.Errorf("no: %w", cli.Usagef("say %s", "which"))
			},
			code: cli.ExitUsage, stderr: "try: no: say which\n",
		},
		"no terminal to ask at": {
			run:  func(ctx context.Context, c *cli.Call) error { return c.Confirm(ctx, "sure?") },
			code: cli.ExitUsage, stderr: "-yes does it without asking",
		},
		"no need to ask": {args: []string{"-yes"}, run: func(ctx context.Context, c *cli.Call) error { return c.Confirm(ctx, "sure?") }},
		"a secret": {
			run:  func(context.Context, *cli.Call) error { return errors.New("GET /webhook?token=abc.def") },
			code: cli.ExitFailed, stderr: "token=[redacted]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := tt.run
			if run == nil {
				run = func(context.Context, *cli.Call) error { return nil }
			}
			got := pipelinetest.Do(t.Context(), script(run), tt.args...)
			if got.Code != tt.code || !strings.Contains(got.Stderr, tt.stderr) || (tt.stderr == "") != (got.Stderr == "") || got.Stdout != "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestWhatACallKnows(t *testing.T) {
	t.Parallel()
	then := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	command := script(func(_ context.Context, c *cli.Call) error {
		if !c.JSON || !c.DryRun || c.Asks() || len(c.Args) != 1 || c.Args[0] != "key" || !c.Now().Equal(then) {
			t.Errorf("%+v", c)
		}
		return nil
	})
	command.Now = func() time.Time { return then }
	if got := pipelinetest.Do(t.Context(), command, "-json", "-dry-run", "-yes", "key"); got.Code != cli.ExitOK {
		t.Errorf("%+v", got)
	}
}

func TestErrorsAreExplained(t *testing.T) {
	t.Parallel()
	command := script(func(context.Context, *cli.Call) error { return cli.Usagef("no") })
	command.Explain = func(err error) error { return fmt.Errorf("%v, because", err) }
	if got := pipelinetest.Do(t.Context(), command); got.Code != cli.ExitUsage || got.Stderr != "try: no, because\n" {
		t.Errorf("%+v", got)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	got := pipelinetest.Do(t.Context(), script(func(context.Context, *cli.Call) error { return errors.New("it runs") }), "-version")
	if got.Code != cli.ExitOK || !strings.HasPrefix(got.Stdout, "ittybit-media ") || !strings.Contains(got.Stdout, runtime.Version()) || got.Stderr != "" {
		t.Errorf("%+v", got)
	}
}

// What went wrong beside an interruption is not lost.
func TestAnInterruptionIsSaid(t *testing.T) {
	t.Parallel()
	for beside, says := range map[error]string{nil: "try: interrupted\n", errors.New("not tidied up"): "try: interrupted\nnot tidied up\n"} {
		ctx, cancel := context.WithCancel(t.Context())
		got := pipelinetest.Do(ctx, script(func(ctx context.Context, _ *cli.Call) error {
			cancel()
			return errors.Join(fmt.Errorf("listing: %w", ctx.Err()), beside)
		}))
		if got.Code != cli.ExitFailed || got.Stderr != says {
			t.Errorf("%+v", got)
		}
	}
}

func TestWhatHasBegunIsFinished(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	finish, cancel := cli.Finish(ctx)
	defer cancel()
	if _, limited := finish.Deadline(); finish.Err() != nil || !limited {
		t.Errorf("%v, %v", finish.Err(), limited)
	}
}

func TestTheTime(t *testing.T) {
	t.Parallel()
	then := time.Date(2026, 11, 24, 10, 0, 0, 0, time.FixedZone("", 3600))
	if got := cli.Time(then); got != "2026-11-24 09:00:00 UTC" {
		t.Error(got)
	}
	if got := cli.Time(time.Time{}); got != "-" {
		t.Error(got)
	}
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 1234 * time.Millisecond: "1.2 s", -3 * time.Second: "-3.0 s", 90 * time.Second: "90 s",
		15 * time.Minute: "15 min", 90 * time.Minute: "90 min", 24 * time.Hour: "24 h", 73 * time.Hour: "3 days",
	} {
		if got := cli.Roughly(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 jobs", 1: "1 job", 2: "2 jobs"} {
		if got := cli.Count(n, "job"); got != want {
			t.Error(got)
		}
	}
	if got := cli.OneLine("  one\n\x1btwo?token=abc\n"); got != "  one; \uFFFDtwo?token=[redacted]" {
		t.Errorf("%q", got)
	}
}

func TestWhatIsAnswered(t *testing.T) {
	t.Parallel()
	for answer, code := range map[string]int{"y\n": cli.ExitOK, "Yes\n": cli.ExitOK, "n\n": cli.ExitFailed, "\n": cli.ExitFailed, "yes, no\n": cli.ExitFailed} {
		var out bytes.Buffer
		s := script(func(ctx context.Context, c *cli.Call) error { return c.Confirm(ctx, "sure?") })
		screen, _ := pipelinetest.Terminal(t, answer)
		if got := s.Run(t.Context(), nil, screen, &out, &out); got != code || !strings.HasPrefix(out.String(), "sure? [y/N] ") {
			t.Errorf("%q: %d, %q", answer, got, out.String())
		}
	}
}

func TestAQuestionCanBeInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	screen, _ := pipelinetest.Terminal(t, "")
	time.AfterFunc(10*time.Millisecond, cancel) // before or after it asks
	var out bytes.Buffer
	code := script(func(ctx context.Context, c *cli.Call) error { return c.Confirm(ctx, "sure?") }).Run(ctx, nil, screen, &out, &out)
	if code != cli.ExitFailed || out.String() != "sure? [y/N] \ntry: interrupted\n" {
		t.Errorf("%d, %q", code, out.String())
	}
}

func TestJSONIsOneLineOnStandardOutput(t *testing.T) {
	t.Parallel()
	got := pipelinetest.Do(t.Context(), script(func(_ context.Context, c *cli.Call) error {
		c.Say("for people")
		return c.PrintJSON(map[string]string{"key": "a&b"})
	}), "-json")
	if got.Stdout != "{\"key\":\"a&b\"}\n" || got.Stderr != "for people\n" {
		t.Errorf("%+v", got)
	}
}
