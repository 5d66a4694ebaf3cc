package sweeper

import (
	"context"
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
	status := func(status int, isTheirs bool) error {
		return &ittybit.Error{Status: status, FromIttybit: isTheirs}
	}
	notFound, proxy, isGone, goneByProxy := status(404, true), status(404, false), status(410, true), status(410, false)
	other := &ittybit.Error{Status: 200, Kind: "other_job"}
	tooLong := &ittybit.Error{Status: 200, Kind: "malformed_answer"}
	broken, denied := status(500, true), status(401, true)
	const day = missingAfter
	for name, tt := range map[string]struct {
		before media.State // the row's
		answer media.Result
		err    error
		age    time.Duration
		want   decision     // without its result and reason
		stores *media.State // nil: nothing
	}{
		"succeeded":           {answer: answered(media.Succeeded), want: decision{outcome: settled, known: true}, stores: new(media.Succeeded)},
		"failed":              {answer: answered(media.Failed), want: decision{outcome: settled, known: true}, stores: new(media.Failed)},
		"succeeded, very old": {answer: answered(media.Succeeded), age: 2 * giveUpAfter, want: decision{outcome: settled, known: true}, stores: new(media.Succeeded)},
		"goes on":             {answer: answered(media.Processing), age: giveUpAfter - 1, want: decision{outcome: open, known: true}, stores: new(media.Processing)},
		"goes on, no news":    {before: media.Processing, answer: answered(media.Processing), want: decision{outcome: open, known: true}},
		"went backwards":      {before: media.Processing, answer: answered(media.Queued), want: decision{outcome: open, known: true}},
		"goes on, old":        {before: media.Processing, answer: answered(media.Processing), age: giveUpAfter, want: decision{outcome: open, known: true, ending: atOnce}},

		"not known, young":    {err: notFound, age: day - 1, want: decision{outcome: missing}},
		"not known":           {err: notFound, age: day, want: decision{outcome: missing, ending: ifKnown}},
		"not known, almost":   {err: notFound, age: giveUpAfter - 1, want: decision{outcome: missing, ending: ifKnown}},
		"not known, old":      {err: notFound, age: giveUpAfter, want: decision{outcome: missing, ending: ifAnswered}},
		"not known, very old": {err: notFound, age: 2 * giveUpAfter, want: decision{outcome: missing, ending: atOnce}},
		"gone":                {err: isGone, age: day, want: decision{outcome: missing, ending: ifKnown}},

		"not known to a proxy, young": {err: proxy, age: day - 1, want: decision{outcome: failed, err: proxy}},
		"not known to a proxy":        {err: proxy, age: day, want: decision{outcome: failed, err: proxy, ending: ifKnown}},
		"not known to a proxy, old":   {err: proxy, age: giveUpAfter, want: decision{outcome: failed, err: proxy, ending: ifAnswered}},
		"gone for a proxy":            {err: goneByProxy, age: day, want: decision{outcome: failed, err: goneByProxy, ending: ifKnown}},
		"another id, young":           {err: other, age: day - 1, want: decision{outcome: failed, err: other}},
		"another id":                  {err: other, age: day, want: decision{outcome: failed, err: other, ending: ifKnown}},
		"another job, young":          {answer: foreign, age: day - 1, want: decision{outcome: failed, err: errOtherJob}},
		"another job":                 {answer: foreign, age: day, want: decision{outcome: failed, err: errOtherJob, ending: ifKnown}},
		"another job, old":            {answer: foreign, age: giveUpAfter, want: decision{outcome: failed, err: errOtherJob, ending: ifAnswered}},

		"no answer":              {err: context.DeadlineExceeded, age: giveUpAfter - 1, want: decision{outcome: failed, err: context.DeadlineExceeded}},
		"no answer, old":         {err: context.DeadlineExceeded, age: giveUpAfter, want: decision{outcome: failed, err: context.DeadlineExceeded, ending: ifAnswered}},
		"server error, old":      {err: broken, age: giveUpAfter, want: decision{outcome: failed, err: broken, ending: ifAnswered}},
		"server error, almost":   {err: broken, age: 2*giveUpAfter - 1, want: decision{outcome: failed, err: broken, ending: ifAnswered}},
		"server error, very old": {err: broken, age: 2 * giveUpAfter, want: decision{outcome: failed, err: broken, ending: atOnce}},
		"denied":                 {err: denied, age: giveUpAfter - 1, want: decision{outcome: failed, err: denied}},
		"denied, old":            {err: denied, age: giveUpAfter, want: decision{outcome: failed, err: denied, ending: ifAnswered}},
		"too long, old":          {err: tooLong, age: giveUpAfter, want: decision{outcome: failed, err: tooLong, ending: ifAnswered}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row := row
			row.Rank = new(tt.before.Rank())
			got := classify(row, tt.answer, tt.err, tt.age, giveUpAfter)
			if (got.result != nil) != (tt.stores != nil) || got.result != nil && (got.result.State != *tt.stores || got.result.JobID != "job_1") {
				t.Errorf("stores %+v, want %v", got.result, tt.stores)
			}
			if got.ending != notYet && got.why == "" {
				t.Error("a job would be presumed failed without a reason")
			}
			got.result, got.why = nil, ""
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// Only what may be the account's or Ittybit's fault has the list asked for.
func TestWhatPutsTheAccountInDoubt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want int
	}{
		"success":            {err: nil, want: 0},
		"denied":             {err: &ittybit.Error{Status: 401}, want: 1},
		"unpaid":             {err: &ittybit.Error{Status: 402, FromIttybit: true}, want: 3},
		"forbidden":          {err: &ittybit.Error{Status: 403, FromIttybit: true}, want: 3},
		"not found":          {err: &ittybit.Error{Status: 404, FromIttybit: true}, want: 0},
		"not found by proxy": {err: &ittybit.Error{Status: 404}, want: 5},
		"bad request":        {err: &ittybit.Error{Status: 400, FromIttybit: true}, want: 0},
		"too many":           {err: &ittybit.Error{Status: 429, FromIttybit: true}, want: 5},
		"time-out":           {err: &ittybit.Error{Status: 408, FromIttybit: true}, want: 5},
		"server error":       {err: &ittybit.Error{Status: 500, FromIttybit: true}, want: 5},
		"no answer":          {err: &ittybit.Error{}, want: 5},
		"network":            {err: context.DeadlineExceeded, want: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := doubtAfter(tt.err); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
