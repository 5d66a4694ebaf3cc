package main

import (
	"fmt"
	"strings"
	"testing"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipelinetest"
)

func TestWhatHappenedToAKey(t *testing.T) {
	t.Parallel()
	const key = "uploads/été \"1\" +%\\*\x1b[31m.mov"
	w := start(t, nil)
	w.ends(fakeittybit.Failed, "audio")
	w.upload(key)
	first := w.row(key, "video", 0)
	w.Put(key, "another version")
	w.Quiet()

	text := w.Want(cli.ExitOK, key)
	pipelinetest.WantIn(t, text, "upload "+first.Upload+" of ", ", etag "+first.ETag, "video 0 succeeded +", "audio 0 failed +", "codec: no such stream", first.JobID(), first.OutputURL)
	if strings.ContainsRune(text, '\x1b') {
		t.Errorf("the key steers the terminal: %q", text)
	}
	if n := strings.Count(text, "upload "); n != 2 || strings.Count(text, " succeeded ") != 4 {
		t.Errorf("%d uploads:\n%s", n, text)
	}
	if url := "s3://" + w.Bucket + "/" + key; w.Want(cli.ExitOK, url) != text {
		t.Errorf("%q is not the key", url)
	}

	rows := pipelinetest.Lines[results.Row](t, w.Want(cli.ExitOK, "-json", key))
	if len(rows) != 6 {
		t.Errorf("%d rows", len(rows))
	}
	for _, row := range rows {
		if stored := w.row(key, row.Job, 0); row.Key != key || row.UploadedAt == 0 || row.State != stored.State {
			t.Errorf("%+v", row)
		}
	}
	for args, want := range map[string]int{
		"-job video":               2,
		"-state failed":            2,
		"-error CODEC":             2,
		"-upload " + first.Upload:  3,
		"-id " + first.JobID():     1,
		"-newer 1h -job thumbnail": 2,
	} {
		if got := pipelinetest.Lines[results.Row](t, w.Want(cli.ExitOK, append(append([]string{"-json"}, strings.Fields(args)...), key)...)); len(got) != want {
			t.Errorf("%s: %d rows, want %d", args, len(got), want)
		}
	}
	w.Says(cli.ExitFailed, []string{"has 6 rows, of which none fits"}, "-older", "1h", key)

	w.upload("uploads/été \"2\".mov") // as far as a log's pattern can say, the same
	text = w.Want(cli.ExitOK, "-logs", key)
	pipelinetest.WantIn(t, text, "dispatch job dispatched", "webhook result stored", "logged in the last 24 h", "state=failed")
	lines := pipelinetest.Lines[logLine](t, strings.Join(strings.SplitAfter(w.Want(cli.ExitOK, "-json", "-logs", key), "\n")[6:], ""))
	for _, line := range lines {
		if strings.Contains(string(line.Line), `\"2\"`) {
			t.Errorf("a line about another key: %s", line.Line)
		}
	}
	if len(lines) != 12 || lines[0].Key != key || lines[0].Function == "" || lines[0].Time.IsZero() || !strings.Contains(string(lines[0].Line), `"message"`) {
		t.Errorf("%d lines, the first one %+v", len(lines), lines[0])
	}
}

func TestNoSignedURLIsShown(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.upload("a.mov")
	const url = "https://outputs.example/a.mp4"
	ref := w.row("a.mov", "video", 0).Ref()
	ref.Attempt = 1
	_, err := w.Results.Apply(t.Context(), results.Report{At: w.Clock.Now(), Ref: ref, Result: media.Result{
		JobID: "job_2", State: media.Succeeded,
		Outputs: []media.Output{{URL: url + "?X-Amz-Signature=secret"}, {URL: url + "?sig=secret"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"a.mov"}, {"-json", "a.mov"}, {"-state", "succeeded"}, {"-state", "succeeded", "-json"}, {"-follow", "a.mov"}, {"-follow", "-json", "a.mov"}} {
		got := w.Do(args...)
		if strings.Contains(got.Stdout+got.Stderr, "secret") || !strings.Contains(got.Stdout, url+"?[redacted]") {
			t.Errorf("%q: %s%s", args, got.Stdout, got.Stderr)
		}
	}
}

func TestAKeyWithoutRows(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.Put("empty.mov", "")
	w.Put("notes.txt", "x")
	w.Put("ittybit-output/a.mov", "x")
	w.refuses(fakeittybit.Create, 503)
	w.Put("waits.mov", "x")
	w.Quiet()
	for key, says := range map[string][]string{
		"empty.mov":            {"rows none", "object 0 bytes", "makes no job of it: 0 bytes", "dispatch upload skipped reason=0 bytes"},
		"notes.txt":            {"makes no job of it: no route", "nothing; -since looks further back"},
		"ittybit-output/a.mov": {"makes no job of it: output folder"},
		"gone.mov":             {"object there is none in " + w.Bucket, "route makes video, thumbnail, audio"},
		"waits.mov": {
			"object 1 byte, made ", "retry queue 1: 0 visible, 0 in flight, 1 delayed", "dead letters 0",
			"ERROR upload not dispatched", "HTTP 503", "/scripts/backfill -local=", "-prefix waits.mov",
		},
	} {
		got := w.Says(cli.ExitFailed, []string{fmt.Sprintf("%s has no row", key)}, key)
		pipelinetest.WantIn(t, got.Stdout, says...)
	}
	got := w.Says(cli.ExitFailed, nil, "-json", "empty.mov", "gone.mov")
	all := pipelinetest.Lines[map[string]any](t, got.Stdout)
	if all[0]["pk"] != "empty.mov" || all[0]["skipped"] != "0 bytes" || all[0]["object"] == nil || all[0]["missing"] != false {
		t.Errorf("%v", all[0])
	}
	if last := all[len(all)-1]; last["pk"] != "gone.mov" || last["missing"] != true || last["rows"] != 0.0 {
		t.Errorf("%v", last)
	}

	// What is denied does not hide the rest.
	w.Deny("FilterLogEvents")
	got = w.Says(cli.ExitFailed, []string{"reading the log", "have this action allowed"}, "waits.mov")
	pipelinetest.WantIn(t, got.Stdout, "retry queue 1")
	w.Deny("GetQueueAttributes")
	got = w.Says(cli.ExitFailed, []string{"have this action allowed"}, "waits.mov")
	pipelinetest.WantIn(t, got.Stdout, "retry queue unknown", "upload not dispatched")
	w.Deny("Query")
	w.Says(cli.ExitFailed, []string{"allow the role dynamodb:Query"}, "waits.mov")
}
