package dispatcher

import (
	"bytes"
	"strings"
	"testing"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
)

func TestWhatIsSkippedSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{routes: `{"routes":[{"prefix":"uploads/","suffixes":[".mov"],"jobs":[{"name":"v","kind":"video"}]}]}`})
	for _, tt := range []struct {
		key  string
		size int
		want string
	}{
		{key: "uploads/notes.txt", size: 1, want: media.SkipNoRoute},
		{key: "uploads/x.mov.part", size: 1, want: media.SkipNoRoute},
		{key: "elsewhere/x.mov", size: 1, want: media.SkipNoRoute},
		{key: "uploads/folder.mov/", size: 0, want: media.SkipFolder},
		{key: "uploads/empty.mov", size: 0, want: media.SkipEmpty},
		{key: "ittybit-output/uploads/x.mov", size: 1, want: media.SkipOutput},
	} {
		if a := w.well(withSize(t, tt.key, tt.size)); a.Skipped != tt.want {
			t.Errorf("%s: %+v, want %q", tt.key, a, tt.want)
		}
	}
	w.wantTotal(0)
	w.log.WantCounted(t, telemetry.UploadsSkipped, map[string]float64{media.SkipNoRoute: 3, media.SkipFolder: 1, media.SkipEmpty: 1, media.SkipOutput: 1})
	for _, line := range w.log.With(t, "reason") {
		if line["key"] == nil || line["bucket"] != "my-media-bucket" {
			t.Errorf("log line without its upload: %v", line)
		}
	}
}

func TestAnUnknownSizeIsNotZero(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.well(payload(t, func(o map[string]any) { delete(o, "size") }))
	w.wantJobs(key, jobNames...)
}

func TestPermanentRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: fakeittybit.Options{Fault: func(r fakeittybit.Request) fakeittybit.Fault {
		if r.Op == fakeittybit.Create && r.Kind == "audio" && r.Ordinal < 100 {
			return fakeittybit.Fault{Status: 422, Kind: "invalid_input", Message: "no audio track; see https://x/webhook?token=eyJsecret"}
		}
		return fakeittybit.Fault{}
	}}})
	w.badly(payload(t, nil)) // the first time, the object may not have been readable yet
	w.wantJobs(key, "video", "thumbnail")
	w.queue(messages(payload(t, nil)), "m0") // too soon after it
	w.later = refusalsApart
	w.queue(messages(payload(t, nil)))
	w.wantRejected(key, "audio", "no audio track")
	if row := w.row(key, "audio"); strings.Contains(row.Error, "eyJsecret") {
		t.Errorf("row %+v", row)
	}
	w.log.WantCounted(t, telemetry.Rejected, map[string]float64{rejectRefused: 1})
	posts := w.ittybit.Requests()[fakeittybit.Create]
	w.queue(messages(payload(t, nil)))
	w.wantRequests(fakeittybit.Create, posts) // a rejected job is not tried again
	w.log.Keeps(t, "eyJsecret")
}

func TestOnlyIttybitsWordIsPermanent(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 402, 403, 404, 405, 409, 429, 500} {
		w := newWorld(t, setup{ittybit: failing(fakeittybit.Create, fakeittybit.Fault{Status: status, Kind: "some_kind", Message: "m"})})
		w.queue(messages(payload(t, nil)), "m0")
		if rows := w.Rows(t, key); len(rows) != 0 {
			t.Errorf("%d: rows %v", status, rows)
		}
	}
}

func TestAJobThatTheRouteDoesNotHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.well(bytes.ReplaceAll(file(t, "retry.json"), []byte(`["thumbnail"]`), []byte(`["thumbnail","poster"]`)))
	w.wantRejected(key, "poster", `no job "poster"`)
	if row := w.row(key, "thumbnail"); row.State != "queued" {
		t.Errorf("the job beside it: %+v", row)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.well(withSize(t, key, 10000001))
	w.well(withSize(t, key, 10000001))
	w.wantRejected(key, "", "10000001 bytes")
	if rows := w.Rows(t, key); len(rows) != 1 {
		t.Errorf("rows %+v", rows)
	}
	w.wantTotal(0)
	w.log.WantCounted(t, telemetry.Rejected, map[string]float64{rejectTooLarge: 1})
}

func TestUnreadableEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.well(bytes.ReplaceAll(file(t, "retry.json"), []byte(`"attempt": 2`), []byte(`"attempt": -1`)))
	w.wantRejected(key, "", "attempt is -1")
	if rows := w.Rows(t, key); len(rows) != 1 {
		t.Errorf("rows %+v", rows)
	}
	w.log.WantCounted(t, telemetry.Rejected, map[string]float64{rejectUnreadable: 1})
	for _, payload := range []string{`{`, `{"source":"aws.ec2"}`, `{"Records":[{"eventSource":"aws:s3"}]}`} {
		if _, err := w.invoke([]byte(payload)); err == nil {
			t.Errorf("%s is taken", payload)
		}
	}
	// In a batch, the others are none the worse for it.
	w.queue(messages([]byte("nonsense"), withKey(t, "a.mov"), []byte(`{}`)), "m0", "m2")
	w.wantJobs("a.mov", jobNames...)
}

func TestOutputsThatTheKeyMakesImpossible(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{routes: `{"routes":[{"jobs":[
		{"name":"keep","kind":"video"},
		{"name":"mine","kind":"audio","output":"s3://${bucket}/ittybit-output/${stem}.mp3"},
		{"name":"loop","kind":"audio","output":"s3://my-media-bucket/elsewhere/x.mp4"}]}]}`})
	const k = "{date}.mov"
	w.well(withKey(t, k))
	if row := w.row(k, "keep"); row.State != "queued" {
		t.Errorf("the job without an output: %+v", row)
	}
	w.wantRejected(k, "mine", "brace")
	w.wantRejected(k, "loop", "an upload again")
	w.log.WantCounted(t, telemetry.Rejected, map[string]float64{rejectOutput: 2})
}

func TestARejectionThatCannotBeNotedIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.Fail(handlertest.Service(endpoint.ServiceDynamoDB), denied)
	w.badly(withSize(t, key, 10000001))
}
