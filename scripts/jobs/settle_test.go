package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/record"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// unscheduled keeps sweep from running by itself.
func unscheduled(o *pipeline.Options) { o.Stack.SweepInterval = 24 * time.Hour }

func TestSettleAsksForWhatIsOverdue(t *testing.T) {
	t.Parallel()
	w := start(t, unscheduled)
	pipelinetest.WantIn(t, w.Want(cli.ExitOK, "-settle"), "no job is overdue")
	w.ittybit.Mute.Store(true)
	w.upload("a.mov", "b.mov")
	w.Pass(30*time.Minute + time.Second)
	w.wantStates("a.mov", "video", "queued")
	pipelinetest.WantIn(t, w.Want(cli.ExitOK, "-settle", "-dry-run"), "sweep would ask Ittybit for 6 jobs")
	all := pipelinetest.Lines[record.Summary](t, w.Want(cli.ExitOK, "-settle", "-json"))
	if len(all) != 1 || all[0].Jobs["settled"] != 6 || all[0].Behind {
		t.Errorf("%+v", all)
	}
	w.wantStates("a.mov", "video", "succeeded")
}

func TestASettleThatFails(t *testing.T) {
	t.Parallel()
	w := start(t, unscheduled)
	w.ittybit.Mute.Store(true)
	w.upload("a.mov")
	w.Pass(30*time.Minute + time.Second)

	// The answer is lost: no second sweep runs beside the first one.
	before := w.Sweep.Stats().Invocations
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Operation == "Invoke" {
			return &endpoint.Fault{Type: "ServiceException", Status: http.StatusInternalServerError, Applied: true}
		}
		return nil
	})
	w.Says(cli.ExitFailed, []string{"running sweep", "if it began, it goes on", "sweep"}, "-settle")
	if n := w.Sweep.Stats().Invocations - before; n != 1 {
		t.Errorf("%d sweeps", n)
	}
	w.wantStates("a.mov", "video", "succeeded")

	w.Deny("Invoke")
	w.Says(cli.ExitFailed, []string{"have this action allowed"}, "-settle")
	w.AWS.Intercept(nil)

	// Ittybit refuses the key: sweep fails and says so, without any secret.
	w.upload("b.mov")
	w.Pass(30*time.Minute + time.Second)
	w.Ittybit.SetKeys("another")
	w.Says(cli.ExitFailed, []string{"sweep failed: ", "check the API key", "its log is /aws/lambda/sweep"}, "-settle")
}

// A sweep that is behind ran for as long as it may: here, somebody else says
// so.
func TestASettleThatIsBehind(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	answer := `{"jobs":{"settled":1040,"given_up":2},"behind":true}`
	aws := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/2015-03-31/functions/sweep/invocations" || r.Header.Get("X-Amz-Invocation-Type") != "RequestResponse" {
			t.Errorf("asked for %s %v", r.URL.Path, r.Header)
		}
		_, _ = io.WriteString(rw, answer)
	}))
	defer aws.Close()
	access := w.Access()
	access.AWSURL = aws.URL
	file := pipelinetest.WriteAccess(t, access)
	for _, tt := range []struct {
		answer, stdout, stderr string
		args                   []string
	}{
		{answer, "overdue jobs: 2 given up, 1040 settled", "overdue jobs are left: run it again", nil},
		{answer, answer, "overdue jobs are left: run it again", []string{"-json"}},
		{"[]", "", "sweep's answer is not one of this version", nil},
	} {
		answer = tt.answer
		got := w.Says(cli.ExitFailed, []string{tt.stderr}, append([]string{"-local=" + file, "-settle"}, tt.args...)...)
		if tt.args != nil && pipelinetest.Lines[record.Summary](t, got.Stdout)[0].Jobs["settled"] != 1040 || tt.args == nil && strings.TrimSpace(got.Stdout) != tt.stdout {
			t.Errorf("%+v", got)
		}
	}
}
