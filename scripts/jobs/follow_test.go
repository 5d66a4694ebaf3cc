package main

import (
	"context"
	"testing"
	"time"

	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipelinetest"
)

func TestFollow(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.upload("a.mov")
	text := w.Want(cli.ExitOK, "-follow", "a.mov")
	pipelinetest.WantIn(t, text, "a.mov: audio succeeded http", "a.mov: thumbnail succeeded", "a.mov: video succeeded")

	// One that changes while it is watched.
	w.ends(fakeittybit.Processing, "video")
	w.upload("b.mov")
	queries := w.AWS.Calls()["DynamoDB.Query"]
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.Operation == "Query" && c.AccessKey == w.AccessKey && c.Ordinal == queries+3 {
			_ = w.Ittybit.Finish(w.row("b.mov", "video", 0).JobID(), fakeittybit.Outcome{Status: fakeittybit.Failed, Message: "no"})
		}
		return nil
	})
	rows := pipelinetest.Lines[results.Row](t, w.Want(cli.ExitFailed, "-follow", "-json", "b.mov"))
	if len(rows) != 4 || rows[2].Job != "video" || rows[2].State != "queued" || rows[3].State != "failed" {
		t.Errorf("%+v", rows)
	}
	w.AWS.Intercept(nil)
	w.heal()
	w.Says(cli.ExitFailed, []string{"1 job of 3 did not succeed"}, "-follow", "b.mov")

	// An object that was written over: its own jobs count, not those before.
	w.refuses(fakeittybit.Create, 503)
	w.Put("b.mov", "another")
	w.Quiet()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan pipelinetest.Result)
	go func() { done <- w.DoContext(ctx, "-follow", "b.mov") }()
	select {
	case got := <-done:
		t.Errorf("it ended before the jobs were there: %+v", got)
	case <-time.After(1500 * time.Millisecond):
	}
	stop()
	if got := <-done; got.Code != cli.ExitFailed || got.Stderr != "jobs: interrupted\n" || got.Stdout != "" {
		t.Errorf("%+v", got)
	}
}

func TestWhatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.Put("a.txt", "x")
	w.Put("empty.mov", "")
	w.Quiet()
	for key, says := range map[string]string{
		"none.mov":  "there is no such object",
		"a.txt":     "a.txt has no job to follow: no route",
		"empty.mov": "empty.mov has no job to follow: 0 bytes",
	} {
		w.Says(cli.ExitFailed, []string{says}, "-follow", key)
	}
	w.upload("a.mov")
	w.Says(cli.ExitFailed, []string{"no row is of that upload"}, "-follow", "-upload", "nonsense", "a.mov")

	// An object that is gone has its rows.
	w.Remove("a.mov")
	got := w.Says(cli.ExitOK, []string{"these are the jobs of the latest upload"}, "-follow", "a.mov")
	pipelinetest.WantIn(t, got.Stdout, "a.mov: video succeeded")
}
