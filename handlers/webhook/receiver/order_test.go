package receiver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// described is what dispatch adds to a job's row.
func described(r row, uploaded, dispatched time.Time) row {
	r = maps.Clone(r)
	r["input"] = "s3://my-media-bucket/uploads/video.mov"
	r["etag"], r["version_id"], r["sequencer"] = upload.ETag, upload.VersionID, upload.Sequencer
	r["uploaded_at"] = float64(uploaded.UnixMilli())
	r["dispatched_at"] = float64(dispatched.UnixMilli())
	return r
}

func TestACallbackFasterThanDispatch(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		f.noted(t, ref, "task_abc123")
		f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), stored)
		called := time.Now()
		time.Sleep(time.Second)
		u := upload
		u.Time = called.Add(-3 * time.Second)
		f.queued(t, u, ref, "task_abc123")
		wantRow(t, f.only(t), described(guidesRow("task_abc123", called), u.Time, time.Now()))
		f.log.WantCounted(t, telemetry.UploadToResult, map[string]float64{}) // nobody knew it then
	})
}

func TestACallbackADayLate(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		u := upload
		u.Time = time.Now().Add(-1500 * time.Millisecond)
		dispatched := time.Now()
		f.queued(t, u, ref, "task_abc123")
		if f.only(t)["open"] != "1" {
			t.Fatal("a queued job is not in sweep's index")
		}
		time.Sleep(24 * time.Hour)
		f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), stored)
		wantRow(t, f.only(t), described(guidesRow("task_abc123", time.Now()), u.Time, dispatched))
		f.log.WantCounted(t, telemetry.UploadToResult, map[string]float64{"": 24*60*60 + 1.5})

		time.Sleep(24 * time.Hour)
		before := f.rows(t)
		f.want(t, request(t, "callback.json", f.token(t, ref, newestKey)), duplicate)
		wantRow(t, f.only(t), before[0])
		f.log.WantCounted(t, telemetry.Results, map[string]float64{"succeeded": 1})
	})
}

// All that tells the time is the invocation's deadline.
func TestTimesAreThoseOfTheInvocation(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t, env.ResultTTLDays, "30")
	began := time.Date(2041, 5, 6, 7, 8, 9, 0, time.UTC)
	u := upload
	u.Time = began.Add(-time.Hour)
	f.queued(t, u, ref, "task_abc123")
	ctx, cancel := context.WithDeadline(t.Context(), began.Add(media.WebhookTimeout))
	defer cancel()
	if got := f.post(ctx, t, request(t, "callback.json", f.token(t, ref, newestKey))); got != stored {
		t.Fatalf("answered %v", got)
	}
	row := f.only(t)
	if row["updated_at"] != float64(began.UnixMilli()) || row["expires_at"] != float64(began.AddDate(0, 0, 30).Unix()) {
		t.Errorf("the row is %v, want times from %v", row, began)
	}
	f.log.WantCounted(t, telemetry.UploadToResult, map[string]float64{"": 3600})
}

// Whatever the order in which a job's callbacks come, and dispatch's note among
// them, the end is the same row, attribute for attribute.
func TestEveryOrderEndsTheSame(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed) {
		u := upload
		u.Time = time.Now().Add(-2 * time.Second)
		finished := []any{
			"kind", "video", "created_at", 1775210400000, "completed_at", 1775210404000, "duration_ms", 4820,
			"output", map[string]string{"url": "https://cdn.ittybit.com/abc/video.mp4"},
		}
		const (
			processing = iota
			failed
			succeeded
			again
			dispatch
			steps
		)
		wants, results := map[any]row{}, map[string]float64{}
		for order := range handlertest.Permutations(steps) {
			id := fmt.Sprintf("job_%v", order)
			ref := refTo(upload, id, 0)
			f.noted(t, ref, id)
			token := f.token(t, ref, newestKey)
			rank := -1
			expect := func(its int, state string) answer {
				if its <= rank {
					return duplicate
				}
				rank = its
				if state != "" {
					results[state]++
				}
				return stored
			}
			for _, step := range order {
				switch step {
				case processing:
					f.want(t, callback(t, token, about(t, ref, "job.updated", id, "processing", "created_at", 1775210400000)), expect(1, ""))
				case failed:
					f.want(t, callback(t, token, about(t, ref, "job.failed", id, "failed", "error", "no codec", "finished_at", 1775210403000)), expect(3, "failed"))
				case succeeded, again:
					f.want(t, callback(t, token, about(t, ref, "job.succeeded", id, "completed", finished...)), expect(4, "succeeded"))
				case dispatch:
					f.queued(t, u, ref, id)
				}
			}
			want := described(guidesRow(id, time.Now()), u.Time, time.Now())
			want["job"] = id
			wants[want["sk"]] = want
		}
		for _, got := range f.rows(t) {
			wantRow(t, got, wants[got["sk"]])
			delete(wants, got["sk"])
		}
		if len(wants) != 0 {
			t.Errorf("rows are missing: %v", slices.Collect(maps.Keys(wants)))
		}
		f.log.WantCounted(t, telemetry.Results, results)
	})
}

// Failed and cancelled are both the end: the first stays.
func TestTheFirstOfFailedAndCancelledStays(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{{"failed", "cancelled"}, {"cancelled", "failed"}} {
		f := newCloud(t).deploy(t)
		f.noted(t, ref, "job_1")
		token := f.token(t, ref, newestKey)
		f.want(t, callback(t, token, about(t, ref, "", "job_1", order[0])), stored)
		f.want(t, callback(t, token, about(t, ref, "", "job_1", order[1])), duplicate)
		if got := f.only(t)["state"]; got != order[0] {
			t.Errorf("%v ends as %v", order, got)
		}
		f.log.WantCounted(t, telemetry.Results, map[string]float64{order[0]: 1})
	}
}

// What sweep made of Ittybit's silence gives way to whatever Ittybit says.
func TestACallbackReplacesAnInferredFailure(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"failed", "cancelled", "succeeded"} {
		f := newCloud(t).deploy(t)
		f.queued(t, upload, ref, "job_1")
		if _, err := f.Table.Apply(t.Context(), results.Report{At: time.Now(), Ref: ref, Result: media.Result{JobID: "job_1", State: media.InferredFailed, Error: "given up"}, Mode: results.UpdateOnly}); err != nil {
			t.Fatal(err)
		}
		token := f.token(t, ref, newestKey)
		f.want(t, callback(t, token, about(t, ref, "", "job_1", "processing")), duplicate)
		f.want(t, callback(t, token, about(t, ref, "", "job_1", status)), stored)
		if got := f.only(t); got["state"] != status || got["error"] != nil {
			t.Errorf("after %s the row is %v", status, got)
		}
	}
}

func TestTheSameCallbackManyTimesAtOnce(t *testing.T) {
	t.Parallel()
	f := newCloud(t).deploy(t)
	f.noted(t, ref, "task_abc123")
	req := request(t, "callback.json", f.token(t, ref, newestKey))
	const senders = 20
	answers := make([]answer, senders)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = f.post(t.Context(), t, req) })
	}
	all.Wait()
	count := map[answer]int{}
	for _, a := range answers {
		count[a]++
	}
	if want := map[answer]int{stored: 1, duplicate: senders - 1}; !maps.Equal(count, want) {
		t.Errorf("answers %v, want %v", count, want)
	}
	f.only(t)
	f.log.WantCounted(t, telemetry.Results, map[string]float64{"succeeded": 1})
}

// The usual way costs one write; keys are cached, and what is refused costs
// nothing.
func TestCallsToAWS(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	f := c.deploy(t)
	f.noted(t, ref, "task_abc123")
	token := f.token(t, ref, newestKey)
	other := f.token(t, refTo(upload, "audio", 0), newestKey)
	early, named := refTo(upload, "poster", 0), refTo(upload, "preview", 0)
	earlier, noted := f.token(t, early, newestKey), f.token(t, named, newestKey)
	f.noted(t, named, "task_noted")
	f.queued(t, upload, ref, "task_abc123")
	f.want(t, callback(t, token, about(t, ref, "", "task_abc123", "queued")), duplicate)
	if n := c.CallsTo("SecretsManager"); n != 1 {
		t.Errorf("%d calls to Secrets Manager until the first callback was stored, want 1", n)
	}
	tests := []struct {
		name  string
		token string
		body  string
		want  answer
		calls int
	}{
		{name: "processing", token: token, body: about(t, ref, "", "task_abc123", "processing"), want: stored, calls: 1},
		{name: "succeeded", token: token, body: about(t, ref, "", "task_abc123", "succeeded"), want: stored, calls: 1},
		{name: "before dispatch", token: earlier, body: about(t, early, "job.succeeded", "task_early", "succeeded"), want: stored, calls: 5},
		{name: "before the row", token: noted, body: about(t, named, "", "task_noted", "succeeded"), want: stored, calls: 4},
		{name: "twice", token: token, body: about(t, ref, "", "task_abc123", "succeeded"), want: duplicate, calls: 2},
		{name: "ignored", token: token, body: `{"event":"media.created","data":{}}`, want: ignored, calls: 0},
		{name: "another's token", token: other, body: about(t, ref, "", "task_abc123", "succeeded"), want: forbidden, calls: 0},
		{name: "unreadable", token: token, body: `{`, want: unreadable, calls: 0},
		{name: "no token", body: `{`, want: forbidden, calls: 0},
	}
	for _, tt := range tests {
		before := c.CallsTo("DynamoDB")
		f.want(t, callback(t, tt.token, tt.body), tt.want)
		if n := c.CallsTo("DynamoDB") - before; n != tt.calls {
			t.Errorf("%s: %d calls to DynamoDB, want %d", tt.name, n, tt.calls)
		}
	}
	if n := c.CallsTo("SecretsManager"); n != 1 {
		t.Errorf("%d calls to Secrets Manager in all, want 1", n)
	}
}
