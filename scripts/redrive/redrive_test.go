package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/pipelinetest"
)

var denied = &endpoint.Fault{Type: "AccessDeniedException", Message: "not you", Status: http.StatusForbidden}

// Three days of tries, and what becomes of them.
func TestDeadLettersOfALongOutage(t *testing.T) {
	t.Parallel()
	w := start(t)
	pipelinetest.WantIn(t, w.Want(cli.ExitOK), "There are no such dead letters.")
	w.down.Store(true)
	keys := []string{"uploads/a.mov", "b.mov", "c.mov"}
	for _, key := range keys {
		w.Put(key, "x")
	}
	uploaded := w.Clock.Now()
	w.Pass(80 * time.Hour)
	w.wantLeft(len(keys))

	text := w.Want(cli.ExitOK)
	pipelinetest.WantIn(t, text, "3 dead letters", "3 3 days ago 3 days ago 11 days ", "HTTP 503", "scripts/redrive -local=", "-send")
	if strings.Contains(text, "-delete-unreadable") {
		t.Error(text)
	}
	w.wantLeft(len(keys))
	all := pipelinetest.Lines[group](t, w.Want(cli.ExitOK, "-json"))
	if len(all) != 1 || all[0].Count != 3 || !all[0].Readable || all[0].Bucket != w.Bucket || !slices.Contains(keys, all[0].Key) ||
		all[0].Oldest.Sub(uploaded).Abs() > time.Minute || all[0].Deleted.Sub(all[0].Oldest) != media.RetryRetention || all[0].Newest.Before(all[0].Oldest) {
		t.Errorf("%+v", all)
	}
	if got := pipelinetest.Lines[group](t, w.Want(cli.ExitOK, "-json", "-older", "79h", "-newer", "81h", "-reason", "http", "-key", "uploads/")); len(got) != 1 || got[0].Count != 1 || got[0].Key != "uploads/a.mov" {
		t.Errorf("%+v", got)
	}

	// Nothing is sent without an answer, or dry.
	w.Says(cli.ExitUsage, []string{"Ittybit charges for the jobs that are made. Send 3 uploads back to dispatch?"}, "-send")
	w.Says(cli.ExitOK, []string{"1 upload would be sent back to dispatch"}, "-send", "-dry-run", "-key", "uploads/")
	if n := w.AWS.Calls()["Lambda.Invoke"]; n != 0 {
		t.Errorf("%d invocations", n)
	}
	w.wantLeft(len(keys))

	// It did not help yet: they wait again, for three days.
	w.Says(cli.ExitOK, []string{"1 upload handed to dispatch"}, "-send", "-yes", "-key", "uploads/")
	w.wantLeft(2)
	w.Quiet()
	w.down.Store(false)
	sends := pipelinetest.Lines[sent](t, w.Want(cli.ExitOK, "-send", "-yes", "-json"))
	if len(sends) != 2 || sends[0].Bucket != w.Bucket || !slices.Contains(keys, sends[0].Key) || sends[0].Attempt != 0 || sends[0].Jobs != nil {
		t.Errorf("%+v", sends)
	}
	w.wantLeft(0)
	w.Quiet()
	w.Pass(2 * time.Minute)
	for _, key := range keys {
		if !w.Succeeded(key) {
			t.Errorf("%q: %+v", key, w.Rows(key))
		}
		w.WantOnce(key)
		for _, row := range w.Rows(key) {
			if row.UploadedAt.Time().Sub(uploaded).Abs() > time.Minute {
				t.Errorf("%q was uploaded at %v by its row, not %v", key, row.UploadedAt.Time(), uploaded)
			}
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	l := letter{sent: now.Add(-2 * time.Hour), reason: "job \"video\": HTTP 503", request: event.Request{Upload: media.Upload{Key: "uploads/a.mov"}}}
	for _, tt := range []struct {
		filter
		want bool
	}{
		{filter{}, true},
		{filter{reason: "http 503"}, true},
		{filter{reason: "HTTP 401"}, false},
		{filter{prefix: "uploads/"}, true},
		{filter{prefix: "a.mov"}, false},
		{filter{Ages: cli.Ages{Older: 2 * time.Hour}}, true},
		{filter{Ages: cli.Ages{Older: 3 * time.Hour}}, false},
		{filter{Ages: cli.Ages{Newer: 2 * time.Hour}}, true},
		{filter{Ages: cli.Ages{Newer: time.Hour}}, false},
		{filter{reason: "http", prefix: "uploads/", Ages: cli.Ages{Older: time.Hour, Newer: 3 * time.Hour}}, true},
	} {
		if got := tt.takes(l, now); got != tt.want {
			t.Errorf("%+v: %v", tt.filter, got)
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	w := start(t)
	raw := w.event(event.Backfill, "raw.mov", 0)
	w.bury(raw, nil)
	for i := range 3 {
		w.bury(raw, map[string]string{"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "dispatch may not be invoked", "RULE_ARN": "r"})
		w.bury(fmt.Sprintf(`{"requestContext":{"condition":"RetriesExhausted"},"requestPayload":%s,"responsePayload":{"errorMessage":"2026-04-0%dT10:00:00.000Z 1f2e3d4c-0000-0000-0000-00000000000%d Task timed out\nafter job_01h455vb4pex5vsknk084sn02%d"}}`, raw, i+1, i, i), nil)
		w.bury(fmt.Sprintf(`{"requestContext":{"condition":"EventAgeExceeded"},"requestPayload":%s}`, raw), nil)
		w.bury(fmt.Sprintf(`{"requestContext":{"condition":"EventAgeExceeded"},"requestPayload":%s,"responsePayload":{"errorMessage":"throttled?token=abc.def"}}`, raw), nil)
		w.bury(fmt.Sprintf(`{"requestContext":{"condition":"RetriesExhausted"},"requestPayload":%s,"responsePayload":"text"}`, raw), nil)
	}
	w.bury("nonsense", nil)
	w.bury(`{"source":"elsewhere","detail-type":"x"}`, nil)
	probe, err := event.EncodeProbe("p1", w.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.bury(string(probe), nil)
	got := map[string]int{}
	for _, g := range pipelinetest.Lines[group](t, w.Want(cli.ExitOK, "-json")) {
		got[g.Reason] = g.Count
		if g.Readable != (g.Key == "raw.mov") {
			t.Errorf("%+v", g)
		}
	}
	for reason, n := range map[string]int{
		"unknown": 1,
		"NO_PERMISSIONS: dispatch may not be invoked":  3,
		"… … Task timed out after …":                   3,
		"EventAgeExceeded":                             3,
		"EventAgeExceeded: throttled?token=[redacted]": 3,
		"RetriesExhausted":                             3,
	} {
		if got[reason] != n {
			t.Errorf("%q: %d, want %d", reason, got[reason], n)
		}
		delete(got, reason)
	}
	if len(got) != 3 || got["unreadable: "+errProbe.Error()] != 1 {
		t.Errorf("%v", got)
	}
	pipelinetest.WantIn(t, w.Want(cli.ExitOK), "unreadable: the message is not an event", `unreadable: source "elsewhere" with detail-type "x" is neither`, "-delete-unreadable")
	w.wantLeft(19)
}

func TestUnreadableDeadLetters(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.bury("nonsense", nil)
	w.bury("nonsense", nil)
	w.fail("a.mov")
	w.Says(cli.ExitFailed, []string{"1 upload handed to dispatch", "2 dead letters: unreadable: the message is not an event", "2 dead letters left that nobody can read"}, "-send", "-yes")
	w.wantLeft(2)
	w.Quiet()
	w.WantOnce("a.mov")
	w.Says(cli.ExitFailed, []string{"2 dead letters left that nobody can read"}, "-send") // there is nothing to ask about

	w.fail("b.mov")
	got := w.Answer("", "-delete-unreadable")
	if got.Code != cli.ExitFailed || !strings.Contains(got.Stderr, "nothing was done") {
		t.Errorf("%+v", got)
	}
	w.wantLeft(3)
	w.Says(cli.ExitUsage, []string{"Delete 2 dead letters for good?"}, "-delete-unreadable")
	w.Want(cli.ExitOK, "-delete-unreadable", "-dry-run")
	w.wantLeft(3)
	pipelinetest.WantIn(t, w.Want(cli.ExitOK, "-delete-unreadable", "-yes", "-limit", "1"), "1 dead letter deleted")
	got = w.Answer("y", "-delete-unreadable")
	pipelinetest.WantIn(t, got.Stdout, "1 dead letter deleted")
	pipelinetest.WantIn(t, got.Stderr, "Delete 1 dead letter for good? [y/N]")
	w.wantLeft(1)
	got = w.Answer("y", "-send")
	pipelinetest.WantIn(t, got.Stderr, "Send 1 upload back to dispatch? [y/N]", "1 upload handed to dispatch")
	w.wantLeft(0)
}

func TestOurOwnEventsKeepWhatTheyAskFor(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.bury(w.event(event.Retry, "a.mov", 2, "audio"), nil)
	w.bury(fmt.Sprintf(`{"requestContext":{},"requestPayload":%s}`, w.event(event.Backfill, "b.mov", 0)), nil)
	w.Want(cli.ExitOK, "-send", "-yes")
	w.Quiet()
	if rows := w.Rows("a.mov"); len(rows) != 1 || rows[0].Job != "audio" || rows[0].Attempt != 2 || rows[0].ETag != "e" {
		t.Errorf("%+v", rows)
	}
	w.WantOnce("b.mov")
}

func TestNoMoreThanAgreed(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.fail("a.mov")
	w.intercept("GetQueueAttributes", 2, func() error { // after it has looked and asked
		w.bury(w.event(event.Backfill, "b.mov", 0), nil)
		return nil
	})
	got := w.Answer("y", "-send")
	pipelinetest.WantIn(t, got.Stderr, "Send 1 upload back to dispatch? [y/N]", "1 upload handed to dispatch")
	w.AWS.Intercept(nil)
	if d := w.DeadLetter.Depth(); d.Visible == 0 {
		t.Errorf("%+v", d)
	}
}

func TestManyReasons(t *testing.T) {
	t.Parallel()
	g := newGroups(0)
	for i := range 3 * mostGroups {
		g.add(letter{reason: fmt.Sprint(i)})
	}
	all := g.sorted()
	if len(all) != mostGroups+1 || all[0].Reason != otherReasons || all[0].Count != 2*mostGroups || g.all != 3*mostGroups {
		t.Errorf("%d groups, the first one %+v", len(all), all[0])
	}
}

func TestTheCommandLine(t *testing.T) {
	t.Parallel()
	pipelinetest.WantUsage(t, script, map[string]string{
		"a.mov":                    "-key says which keys",
		"-send -delete-unreadable": "do not go together",
		"-send -rate 0":            "-rate 0 is no rate above 0",
		"-send -rate NaN":          "-rate NaN is no rate above 0",
		"-limit -1":                "-limit -1 is under 0",
		"-older -1h":               "-older and -newer are above 0",
		"-older 2h -newer 1h":      "nothing is older than",
	})
	if got := pipelinetest.Do(t.Context(), script, "-local="+t.TempDir()+"/none"); got.Code != cli.ExitFailed || !strings.Contains(got.Stderr, "there is no local run") {
		t.Errorf("%+v", got)
	}
}
