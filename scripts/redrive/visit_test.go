package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/pipelinetest"
)

var handed = regexp.MustCompile(`(\d+) uploads? handed`)

// handedOver returns how many uploads the script says it has handed to
// dispatch, which must be some.
func handedOver(t *testing.T, got pipelinetest.Result) (n int) {
	t.Helper()
	if said := handed.FindStringSubmatch(got.Stderr); said != nil {
		n, _ = strconv.Atoi(said[1])
	}
	if n == 0 {
		t.Error(got.Stderr)
	}
	return n
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
	sent := func(got pipelinetest.Result) {
		t.Helper()
		left -= handedOver(t, got)
		w.wantLeft(left)
	}
	// Ctrl-C while they are sent.
	ctx, stop := context.WithCancel(t.Context())
	w.intercept("Invoke", 75, func() error { stop(); return nil })
	got := w.DoContext(ctx, send...)
	if got.Code != cli.ExitFailed || !strings.Contains(got.Stderr, "interrupted") {
		t.Errorf("%+v", got)
	}
	sent(got)
	// And while they are received.
	ctx, stop = context.WithCancel(t.Context())
	w.intercept("ReceiveMessage", 6, func() error { stop(); return nil })
	sent(w.DoContext(ctx, send...))
	// Nobody deletes what dispatch has.
	w.intercept("DeleteMessage", 40, func() error { return denied })
	sent(w.Says(cli.ExitFailed, []string{"was handed to dispatch: deleting a dead letter", "have this action allowed"}, send...))
	w.intercept("Invoke", 30, func() error { return denied })
	sent(w.Says(cli.ExitFailed, []string{"handing uploads/", "have this action allowed"}, send...))
	// Throttled, and answers lost: the SDK asks again.
	for _, operation := range []string{"Invoke", "DeleteMessage", "ChangeMessageVisibilityBatch"} {
		var calls atomic.Int32
		w.intercept(operation, 1, func() error {
			if n := calls.Add(1); n <= 6 {
				return &endpoint.Fault{Type: "ServiceException", Status: http.StatusInternalServerError, Applied: n%2 == 1}
			}
			return nil
		})
		sent(w.Says(cli.ExitOK, []string{"15 uploads handed"}, append(slices.Clone(send), "-limit", "15")...))
	}
	w.AWS.Intercept(nil)
	sent(w.Says(cli.ExitOK, nil, send...))
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
