package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// world is a pipeline whose Ittybit can be down.
type world struct {
	*pipelinetest.Run
	t    *testing.T
	down atomic.Bool
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	w.Run = pipelinetest.Start(t, func(o *pipeline.Options) {
		pipelinetest.WithIttybit(o, func(o *fakeittybit.Options) {
			o.Fault = func(fakeittybit.Request) fakeittybit.Fault {
				if w.down.Load() {
					return fakeittybit.Fault{Status: http.StatusServiceUnavailable, RetryAfter: "3600"}
				}
				return fakeittybit.Fault{}
			}
		})
	})
	w.Command = script
	return w
}

// fail uploads films while Ittybit is down, and puts what dispatch left in the
// retry queue into the dead letters, without the three days.
func (w *world) fail(keys ...string) {
	w.t.Helper()
	w.down.Store(true)
	before := len(w.RetryQueue.Messages())
	for _, key := range keys {
		w.Put(key, "x")
	}
	w.Quiet()
	w.down.Store(false)
	messages := w.RetryQueue.Messages()[before:]
	if len(messages) != len(keys) {
		w.t.Fatalf("%d messages of %d uploads", len(messages), len(keys))
	}
	for _, m := range messages {
		w.bury(m.Body, nil)
	}
}

func (w *world) bury(body string, attributes map[string]string) {
	w.t.Helper()
	if _, err := w.DeadLetter.Send(body, attributes); err != nil {
		w.t.Fatal(err)
	}
}

// event is one of our own about an upload.
func (w *world) event(detailType, key string, attempt int, jobs ...string) string {
	w.t.Helper()
	text, err := event.EncodeRequest(detailType, event.Request{
		Upload:  media.Upload{Bucket: w.Bucket, Key: key, Size: 1, ETag: "e", Time: w.Clock.Now().Add(-time.Hour)},
		Attempt: attempt, Jobs: jobs,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// wantLeft checks how many dead letters there are, and that everybody can
// receive them.
func (w *world) wantLeft(n int) {
	w.t.Helper()
	if d := w.DeadLetter.Depth(); d.Visible != n || d.InFlight != 0 {
		w.t.Errorf("%d dead letters are visible and %d hidden, want %d", d.Visible, d.InFlight, n)
	}
}

// intercept does something at the n-th call of an operation by the operator.
func (w *world) intercept(operation string, n int, do func() error) {
	var calls atomic.Int32
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.AccessKey == w.AccessKey && c.Operation == operation && int(calls.Add(1)) >= n {
			return do()
		}
		return nil
	})
}

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

func TestThreeHundredWithInterruptions(t *testing.T) {
	t.Parallel()
	w := start(t)
	var keys []string
	for i := range 300 {
		keys = append(keys, fmt.Sprintf("uploads/%03d.mov", i))
	}
	w.fail(keys...)
	w.bury(w.event(event.Redrive, "other.mov", 0), nil)
	send := []string{"-send", "-yes", "-rate", "10000", "-key", "uploads/"}

	left := len(keys) + 1
	handed := func(got pipelinetest.Result) {
		t.Helper()
		n := 0
		if _, err := fmt.Sscan(got.Stderr[strings.LastIndex(got.Stderr[:strings.Index(got.Stderr, " handed to dispatch")], "\n")+1:], &n); err != nil || n == 0 {
			t.Errorf("%v in %s", err, got.Stderr)
		}
		left -= n
		w.wantLeft(left)
	}
	// Ctrl-C while they are sent.
	ctx, stop := context.WithCancel(t.Context())
	w.intercept("Invoke", 75, func() error { stop(); return nil })
	got := w.DoContext(ctx, send...)
	if got.Code != cli.ExitFailed || !strings.Contains(got.Stderr, "interrupted") {
		t.Errorf("%+v", got)
	}
	handed(got)
	// And while they are received.
	ctx, stop = context.WithCancel(t.Context())
	w.intercept("ReceiveMessage", 6, func() error { stop(); return nil })
	handed(w.DoContext(ctx, send...))
	// Nobody deletes what dispatch has.
	w.intercept("DeleteMessage", 40, func() error { return denied })
	handed(w.Says(cli.ExitFailed, []string{"was handed to dispatch: deleting a dead letter", "have this action allowed"}, send...))
	w.intercept("Invoke", 30, func() error { return denied })
	handed(w.Says(cli.ExitFailed, []string{"handing uploads/", "have this action allowed"}, send...))
	// Throttled, and answers lost: the SDK asks again.
	for _, operation := range []string{"Invoke", "DeleteMessage", "ChangeMessageVisibilityBatch"} {
		var calls atomic.Int32
		w.intercept(operation, 1, func() error {
			if n := calls.Add(1); n <= 6 {
				return &endpoint.Fault{Type: "ServiceException", Status: http.StatusInternalServerError, Applied: n%2 == 1}
			}
			return nil
		})
		handed(w.Says(cli.ExitOK, []string{"15 uploads handed"}, append(slices.Clone(send), "-limit", "15")...))
	}
	w.AWS.Intercept(nil)
	handed(w.Says(cli.ExitOK, nil, send...))
	if left != 1 {
		t.Errorf("%d are left", left)
	}
	w.Quiet()
	for _, key := range keys {
		w.WantOnce(key)
	}
	if rows := w.Rows("other.mov"); len(rows) != 0 {
		t.Errorf("%+v", rows)
	}
}

// What SQS gave in an answer that was lost is hidden until its time is over.
func TestALostAnswerOfTheQueue(t *testing.T) {
	t.Parallel()
	w := start(t)
	var keys []string
	for i := range 25 {
		keys = append(keys, fmt.Sprintf("%02d.mov", i))
	}
	w.fail(keys...)
	lost := false
	w.intercept("ReceiveMessage", 1, func() error {
		if lost {
			return nil
		}
		lost = true
		return &endpoint.Fault{Type: "InternalError", Status: http.StatusInternalServerError, Applied: true}
	})
	w.Says(cli.ExitOK, []string{"15 uploads handed to dispatch"}, "-send", "-yes", "-rate", "1000")
	if d := w.DeadLetter.Depth(); d.InFlight != 10 || d.Visible != 0 {
		t.Errorf("%+v", d)
	}
	w.Quiet()
	w.Clock.Advance(lookTime + time.Minute)
	w.Says(cli.ExitOK, []string{"10 uploads handed to dispatch"}, "-send", "-yes", "-rate", "1000")
	w.Quiet()
	for _, key := range keys {
		w.WantOnce(key)
	}
}

// A message may come twice, as when it shows again before the visit is over.
func TestWhatComesTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	for i := range 25 {
		w.bury(w.event(event.Backfill, fmt.Sprintf("%d.mov", i), 0), nil)
	}
	shown := false
	w.intercept("ReceiveMessage", 3, func() error {
		if !shown {
			shown = true
			w.Clock.Advance(lookTime + time.Second)
		}
		return nil
	})
	pipelinetest.WantIn(t, w.Want(cli.ExitOK), "25 dead letters")
	w.wantLeft(25)
}

// visitor is the script as it is called, without a command.
func (w *world) visitor() *redrive {
	w.t.Helper()
	call := &operator.Call{Call: &cli.Call{Out: io.Discard, Err: io.Discard, Now: w.Clock.Now}, Target: operator.Target{Stack: "dev", Local: w.AccessFile}}
	stack, err := call.Connect(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return &redrive{Call: call, stack: stack, sqs: stack.SQS(), url: stack.Outputs.DeadLetterQueueURL}
}

func TestAVisitHasItsBounds(t *testing.T) {
	t.Parallel()
	w := start(t)
	for i := range 45 {
		w.bury(w.event(event.Backfill, fmt.Sprintf("%d.mov", i), 0), nil)
	}
	never := func() bool { return false }
	r := w.visitor()
	var seen atomic.Int32
	v := r.visit(lookTime, func(context.Context, letter) (bool, error) { seen.Add(1); return false, nil })
	v.most = 20
	if err := v.run(t.Context(), never); err != nil || seen.Load() != 20 {
		t.Errorf("%d seen, %v", seen.Load(), err)
	}
	w.wantLeft(45)

	// It ends before what it received first shows again.
	v = r.visit(margin+200*time.Millisecond, func(ctx context.Context, l letter) (bool, error) {
		<-ctx.Done()
		return false, ctx.Err()
	})
	if err := v.run(t.Context(), never); !errors.Is(err, errLate) {
		t.Error(err)
	}
	w.wantLeft(45)
	s := &sender{redrive: r, wanted: func(letter) bool { return true }, dispatcher: r.stack.Dispatcher(1), stay: newGroups(0)}
	if err := r.visit(margin+200*time.Millisecond, s.letter).run(t.Context(), s.isFull); !errors.Is(err, errLate) || s.sent != 1 {
		t.Errorf("%d sent, %v", s.sent, err)
	}
	w.wantLeft(44)

	// What is sent slowly is hidden for longer.
	var hidden struct{ VisibilityTimeout int }
	w.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
		if c.AccessKey == w.AccessKey && c.Operation == "ReceiveMessage" {
			return json.Unmarshal(c.Body, &hidden)
		}
		return nil
	})
	for args, want := range map[string]time.Duration{
		"":                                  lookTime,
		"-send -yes -limit 1 -rate 0.01":    lookTime + 100*time.Second,
		"-send -yes -limit 1 -rate 0.00001": mostHidden,
		"-send -yes -limit 1 -rate 1e-300":  mostHidden,
	} {
		w.Want(cli.ExitOK, strings.Fields(args)...)
		if got := time.Duration(hidden.VisibilityTimeout) * time.Second; got != want {
			t.Errorf("%s: hidden for %v, want %v", args, got, want)
		}
	}
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

func TestALookThatIsCutShort(t *testing.T) {
	t.Parallel()
	w := start(t)
	for i := range 45 {
		w.bury(w.event(event.Backfill, fmt.Sprintf("%d.mov", i), 0), nil)
	}
	ctx, stop := context.WithCancel(t.Context())
	w.intercept("ReceiveMessage", 3, func() error { stop(); return nil })
	got := w.DoContext(ctx)
	if got.Code != cli.ExitFailed || !strings.Contains(got.Stderr, "interrupted") {
		t.Errorf("%+v", got)
	}
	pipelinetest.WantIn(t, got.Stdout, "30 dead letters")
	w.wantLeft(45)
	w.intercept("ReceiveMessage", 4, func() error { return denied })
	w.Says(cli.ExitFailed, []string{"receiving from the dead letters", "have this action allowed"})
	w.wantLeft(45)
	w.intercept("GetQueueAttributes", 1, func() error { return denied })
	w.Says(cli.ExitFailed, []string{"have this action allowed"})

	// They cannot be shown again, which has to be said, also after Ctrl-C.
	ctx, stop = context.WithCancel(t.Context())
	w.intercept("ChangeMessageVisibilityBatch", 1, func() error { stop(); return denied })
	got = w.DoContext(ctx)
	pipelinetest.WantIn(t, got.Stderr, "45 dead letters cannot be shown again, but will be within 10 min", "not you")
	if got.Code != cli.ExitFailed {
		t.Errorf("%+v", got)
	}
	w.Clock.Advance(lookTime)
	w.AWS.Intercept(nil)
	w.Want(cli.ExitOK)
	w.wantLeft(45)
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
