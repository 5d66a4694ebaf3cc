package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/lambda"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// found are "KEY JOB STATE" of the rows that -json lists.
func (w *world) found(args ...string) []string {
	w.t.Helper()
	var all []string
	for _, r := range pipelinetest.Lines[results.Row](w.t, w.Want(cli.ExitOK, append([]string{"-json"}, args...)...)) {
		all = append(all, strings.Join([]string{r.Key, r.Job, r.State}, " "))
	}
	slices.Sort(all)
	return all
}

func TestLists(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.ends(fakeittybit.Failed, "audio")
	w.upload("a.mov", "b/b.mov")
	w.Pass(3 * time.Hour)
	w.ends(fakeittybit.Processing, "video", "thumbnail")
	w.upload("b/c.mov")
	w.ends(fakeittybit.Cancelled, "video")
	w.upload("d.mov")

	for _, args := range []string{"-state open", "-state queued", "-state processing", "-state open -job video -older 0s"} {
		if got := w.found(strings.Fields(args)...); slices.ContainsFunc(got, func(row string) bool { return !strings.HasPrefix(row, "b/c.mov ") }) || args != "-state processing" && len(got) == 0 {
			t.Errorf("%s: %q", args, got)
		}
	}
	if n := w.AWS.Calls()["DynamoDB.Scan"]; n != 0 {
		t.Errorf("%d scans for lists that the index has", n)
	}
	for args, want := range map[string][]string{
		"-state failed":                             {"a.mov audio failed", "b/b.mov audio failed"},
		"-state failed -prefix b/":                  {"b/b.mov audio failed"},
		"-state failed -newer 1h":                   nil,
		"-state cancelled":                          {"d.mov video cancelled"},
		"-older 1h -job audio":                      {"a.mov audio failed", "b/b.mov audio failed"},
		"-newer 1h -job audio":                      {"b/c.mov audio succeeded", "d.mov audio succeeded"},
		"-error STREAM -newer 4h -prefix b":         {"b/b.mov audio failed"},
		"-error nonsense":                           nil,
		"-state rejected":                           nil,
		"-id " + w.row("d.mov", "audio", 0).JobID(): {"d.mov audio succeeded"},
	} {
		if got := w.found(strings.Fields(args)...); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
	if got := w.found("-limit", "5"); len(got) != 5 {
		t.Errorf("%q", got)
	}
	got := w.Says(cli.ExitOK, []string{"reads the whole table"}, "-state", "failed")
	pipelinetest.WantIn(t, got.Stdout, "KEY JOB ATTEMPT STATE BEGAN JOB ID RESULT", "b/b.mov audio 0 failed")
	pipelinetest.WantIn(t, w.Want(cli.ExitOK, "-state", "rejected"), "no row fits")
	pipelinetest.WantIn(t, w.Want(cli.ExitOK, "-state", "open"), "sweep asks for it in 30 min")

	w.Deny("Scan")
	w.Says(cli.ExitFailed, []string{"reading the whole table", "allow the role dynamodb:Scan"}, "-state", "failed")
	// A throttled table is asked again.
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Operation == "Scan" && c.Ordinal%3 != 0 {
			return endpoint.Throttled(c)
		}
		return nil
	})
	if got := w.found("-state", "cancelled"); len(got) != 1 {
		t.Errorf("throttled: %q", got)
	}
}

func TestTheOverview(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *pipeline.Options) {
		o.Stack.DailyJobLimit = 9
		unscheduled(o)
	})
	// The day must not end meanwhile.
	if now := w.Clock.Now().UTC(); now.Hour() >= 20 {
		w.Pass(now.Truncate(24 * time.Hour).Add(24*time.Hour + time.Minute).Sub(now))
	}
	w.ends(fakeittybit.Failed, "audio")
	w.upload("a.mov")
	w.ittybit.Mute.Store(true)
	w.upload("b.mov")
	text := w.Want(cli.ExitOK)
	pipelinetest.WantIn(t, text, "open jobs 3, of which 0 overdue; the oldest began ", " of b.mov", "new jobs today (UTC) 6 of 9", "retry queue 0", "dead letters 0")
	if strings.Contains(text, "go run") {
		t.Errorf("it has advice, though all is well:\n%s", text)
	}
	w.upload("c.mov")
	w.upload("d.mov") // over the limit
	if _, err := w.DeadLetter.Send("not an event", nil); err != nil {
		t.Fatal(err)
	}
	w.Pass(31 * time.Minute)
	text = w.Want(cli.ExitOK)
	pipelinetest.WantIn(t, text, "open jobs 6, of which 6 overdue; the oldest began 31 min ago: ", "scripts/jobs -local=", "-settle", "new jobs today (UTC) 9 of 9", "retry queue 1: ", "dead letters 1: 1 visible, 0 in flight, 0 delayed",
		"scripts/redrive -local=", "limit of new jobs is reached", "Uploads in the retry queue are tried every 15 min, for 3 days.", lambda.LogGroup("dispatch"))
	if n := w.AWS.Calls()["DynamoDB.Scan"]; n != 0 {
		t.Errorf("%d scans", n)
	}

	all := pipelinetest.Lines[overview](t, w.Want(cli.ExitOK, "-json", "-count"))
	o := all[0]
	if len(all) != 1 || o.Region != endpoint.Region || *o.JobsToday != 9 || o.DailyLimit != 9 || o.RetryQueue.All() != 1 || o.DeadLetters.Visible != 1 || o.States["failed"] != 1 {
		t.Errorf("%+v", all)
	}
	for state, n := range o.States {
		if rows := w.found("-state", state); len(rows) != n {
			t.Errorf("%d rows %s, counted %d", len(rows), state, n)
		}
	}

	w.Deny("GetQueueAttributes")
	got := w.Says(cli.ExitFailed, []string{"counting the messages of", "have this action allowed"})
	pipelinetest.WantIn(t, got.Stdout, "new jobs today (UTC) 9 of 9", "retry queue unknown", "dead letters unknown")
	w.Deny("Query")
	got = w.Says(cli.ExitFailed, []string{"allow the role dynamodb:Query"})
	pipelinetest.WantIn(t, got.Stdout, "open jobs unknown", "dead letters 1")
}

func TestALongListIsPrintedWhole(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for i := range 201 {
		w.reject(fmt.Sprintf("%04d.mov", i))
	}
	text := w.Want(cli.ExitOK, "-state", "rejected")
	if n := strings.Count(text, "\n"); n != 202 {
		t.Errorf("%d lines", n)
	}
}

func TestWithoutALocalRun(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"a.mov"}, {"-settle"}, {"-retry", "a.mov"}} {
		args = append([]string{"-local=" + t.TempDir() + "/none.json"}, args...)
		if got := pipelinetest.Do(t.Context(), script, args...); got.Code != cli.ExitFailed || !strings.Contains(got.Stderr, "there is no local run") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

func TestTheCommandLine(t *testing.T) {
	t.Parallel()
	pipelinetest.WantUsage(t, script, map[string]string{
		"-state faild":                 "did you mean failed?",
		"-settle a.mov":                "-settle takes no keys",
		"-settle -state failed":        "-state does not go with -settle",
		"-count a.mov":                 "-count does not go with keys",
		"-count -state failed":         "-state does not go with -count",
		"-follow":                      "-follow needs the keys",
		"-follow -state failed a.mov":  "-state does not go with -follow",
		"-retry":                       "-retry needs keys",
		"-retry -rate 0 a.mov":         "-rate 0 is no rate above 0",
		"-retry -rate Inf a.mov":       "-rate +Inf is no rate above 0",
		"-retry -follow -state failed": "-follow needs the keys",
		"-retry -state succeeded":      "runs again where -id names it",
		"-retry -state open":           "-retry is for jobs that failed",
		"-retry -logs a.mov":           "-logs does not go with -retry",
		"-logs -state failed":          "-logs does not go with a list",
		"-rate 3 a.mov":                "-rate does not go with keys",
		"-older 2h -newer 1h":          "nothing is older than 2h0m0s and newer than 1h0m0s",
		"-older -1h":                   "-older and -newer are above 0",
		"-limit -1":                    "-limit -1 is under 0",
		"-logs -since 0s a.mov":        "-since 0s is not above 0",
	})
}
