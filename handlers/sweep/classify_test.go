package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	u := upload("a", time.Time{})
	row := results.Row{Key: u.Key, SortKey: "task#job_1", Bucket: u.Bucket, Upload: u.ID(tableName), Job: "video"}
	answered := func(state media.State) media.Result {
		return media.Result{JobID: "job_1", Status: state.String(), State: state}
	}
	foreign := answered(media.Succeeded)
	foreign.Metadata = map[string]string{"job": "audio"}
	notFound := &ittybit.Error{Status: http.StatusNotFound, FromIttybit: true}
	proxy := &ittybit.Error{Status: http.StatusNotFound}
	for name, tt := range map[string]struct {
		before media.State // the row's
		answer media.Result
		err    error
		age    time.Duration
		want   decision     // without its result
		stores *media.State // nil: nothing
	}{
		"succeeded":            {answer: answered(media.Succeeded), want: decision{outcome: settled, known: true}, stores: new(media.Succeeded)},
		"failed":               {answer: answered(media.Failed), want: decision{outcome: settled, known: true}, stores: new(media.Failed)},
		"succeeded, old":       {answer: answered(media.Succeeded), age: 2 * giveUpAfter, want: decision{outcome: settled, known: true}, stores: new(media.Succeeded)},
		"goes on":              {answer: answered(media.Processing), want: decision{outcome: open, known: true}, stores: new(media.Processing)},
		"goes on, no news":     {before: media.Processing, answer: answered(media.Processing), want: decision{outcome: open, known: true}},
		"went backwards":       {before: media.Processing, answer: answered(media.Queued), want: decision{outcome: open, known: true}},
		"goes on, old":         {answer: answered(media.Processing), age: giveUpAfter, want: decision{outcome: gaveUp, known: true}, stores: new(media.InferredFailed)},
		"not known, young":     {err: notFound, age: missingAfter - 1, want: decision{outcome: missing}},
		"not known":            {err: notFound, age: missingAfter, want: decision{outcome: missing, lost: true}},
		"not known, old":       {err: notFound, age: giveUpAfter, want: decision{outcome: gaveUp}, stores: new(media.InferredFailed)},
		"not known to a proxy": {err: proxy, age: 2 * giveUpAfter, want: decision{outcome: failed, err: proxy}},
		"no answer":            {err: context.DeadlineExceeded, age: 2 * giveUpAfter, want: decision{outcome: failed, err: context.DeadlineExceeded}},
		"another job":          {answer: foreign, age: giveUpAfter - 1, want: decision{outcome: failed, err: errOtherJob}},
		"another job, old":     {answer: foreign, age: giveUpAfter, want: decision{outcome: gaveUp}, stores: new(media.InferredFailed)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row := row
			row.Rank = new(tt.before.Rank())
			got := classify(row, tt.answer, tt.err, tt.age, giveUpAfter)
			if (got.result != nil) != (tt.stores != nil) || got.result != nil && (got.result.State != *tt.stores || got.result.JobID != "job_1") {
				t.Errorf("stores %+v, want %v", got.result, tt.stores)
			}
			got.result = nil
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}
