package results_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

func TestQueuedNotesTheJobAsItWasAnswered(t *testing.T) {
	t.Parallel()
	checkAt := start.Add(30 * time.Minute)
	for name, test := range map[string]struct {
		answer  media.Result
		status  string
		state   media.State
		checkAt time.Time
	}{
		"queued":               {answer: queued, status: "queued", state: media.Queued, checkAt: checkAt},
		"no word":              {answer: media.Result{JobID: jobID}, status: "queued", state: media.Queued, checkAt: checkAt},
		"a word of its own":    {answer: media.Result{JobID: jobID, Status: "waiting"}, status: "waiting", state: media.Queued, checkAt: checkAt},
		"at work":              {answer: processing, status: "validating", state: media.Processing, checkAt: checkAt},
		"adopted, over by now": {answer: succeeded, status: "queued", state: media.Queued, checkAt: start},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, time.Hour)
			ref := refTo("video", 2)
			if created, err := f.InsertQueued(t.Context(), results.Dispatched{At: f.now, CheckAt: checkAt, Upload: upload, Ref: ref, Result: test.answer}); !created || err != nil {
				t.Fatalf("InsertQueued = %v, %v", created, err)
			}
			row := f.row(t)
			if row.Status != test.status || row.State != test.state.String() || *row.Rank != test.state.Rank() || row.CheckAt != ms(test.checkAt) {
				t.Errorf("row = %s", asJSON(t, row))
			}
			if row.Open == "" || row.OutputURL != "" || row.ExpiresAt != 0 || row.CompletedAt != 0 {
				t.Errorf("the row looks final: %s", asJSON(t, row))
			}
			if row.Ref() != ref || row.JobID() != jobID || !row.Since().Equal(start) {
				t.Errorf("row is of %+v, %s, since %v", row.Ref(), row.JobID(), row.Since())
			}
		})
	}
}

func TestQueuedCountsAJobOnce(t *testing.T) {
	t.Parallel()
	for name, callback := range map[string]*media.Result{"dispatch first": nil, "callback first": &succeeded} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 0)
			ref := refTo("video", 0)
			if callback != nil {
				f.apply(t, ref, *callback, results.CreateOrUpdate)
			}
			var created atomic.Int64
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					ok, err := f.InsertQueued(t.Context(), results.Dispatched{At: f.now, CheckAt: start, Upload: upload, Ref: ref, Result: queued})
					if err != nil {
						t.Error(err)
					}
					if ok {
						created.Add(1)
					}
				})
			}
			wg.Wait()
			if created.Load() != 1 {
				t.Errorf("noted %d times, want once", created.Load())
			}
		})
	}
}

// The description of one that was faster stays.
func TestQueuedFillsOnlyWhatIsAbsent(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	ref := refTo("video", 0)
	r := succeeded
	r.Kind, r.CreatedAt = "adaptive_video", start.Add(-time.Second)
	f.apply(t, ref, r, results.CreateOrUpdate)
	f.now = start.Add(time.Minute)
	if !f.queued(t, ref, queued) {
		t.Error("not counted as new")
	}
	row := f.row(t)
	if row.Kind != "adaptive_video" || row.CreatedAt != ms(r.CreatedAt) || row.UpdatedAt != ms(start) || row.Status != "completed" || row.Open != "" {
		t.Errorf("dispatch changed the callback's row: %s", asJSON(t, row))
	}
	if row.DispatchedAt != ms(f.now) || row.Sequencer != upload.Sequencer {
		t.Errorf("dispatch did not fill the row: %s", asJSON(t, row))
	}
	if f.queued(t, ref, queued) {
		t.Error("counted as new twice")
	}
}

func TestQueuedWithoutWhatTheEventDidNotSay(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	u := media.Upload{Bucket: "b", Key: upload.Key}
	if _, err := f.InsertQueued(t.Context(), results.Dispatched{At: f.now, CheckAt: start, Upload: u, Ref: refTo("video", 0), Result: media.Result{JobID: jobID}}); err != nil {
		t.Fatal(err)
	}
	stored := f.aws.Item(t, upload.Key, "task#"+jobID)
	for _, name := range []string{"etag", "version_id", "sequencer", "uploaded_at", "created_at", "kind", "error", "outputs", "size"} {
		if v, ok := stored[name]; ok {
			t.Errorf("%s = %v, want none", name, v)
		}
	}
}

func TestQueuedRefusesAnotherJobsRow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	f.queued(t, refTo("video", 0), queued)
	created, err := f.InsertQueued(t.Context(), results.Dispatched{At: f.now, CheckAt: start, Upload: upload, Ref: refTo("audio", 0), Result: queued})
	if created || !errors.Is(err, results.ErrOtherJob) {
		t.Errorf("InsertQueued = %v, %v, want ErrOtherJob", created, err)
	}
	if row := f.row(t); row.Job != "video" {
		t.Errorf("the row is of %s now", row.Job)
	}
}

func TestQueuedFailsWhenTheRowVanishes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	f.aws.Fail(handlertest.Operation("PutItem"), refused)
	created, err := f.InsertQueued(t.Context(), results.Dispatched{At: start, CheckAt: start, Upload: upload, Ref: refTo("video", 0), Result: queued})
	if created || err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("InsertQueued = %v, %v", created, err)
	}
	if row := f.row(t); row.Key != "" {
		t.Errorf("half a row was made: %s", asJSON(t, row))
	}
}
