package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

// line is the progress, for people.
func (b *backfill) line(p plan) string {
	took := time.Since(b.began)
	done, all := b.tally.Objects-b.earlier, p.Objects
	if p.partial {
		done, all = b.sent, p.Sent
	}
	left := time.Duration(float64(took) / float64(max(done, 1)) * float64(max(all-done, 0)))
	return fmt.Sprintf("sent %d, skipped %d; %d of %d, %.1f a second, %s left",
		b.tally.Sent, b.tally.Objects-b.tally.Sent, done, all, float64(b.sent)/took.Seconds(), cli.Roughly(left))
}

// summary is what became of all, as -json prints it last.
type summary struct {
	Bucket string `json:"bucket"`
	tally
	Begun      time.Time `json:"begun"`   // by the first of the runs that this one goes on with
	Seconds    float64   `json:"seconds"` // of this run
	DryRun     bool      `json:"dry_run"`
	Finished   bool      `json:"finished"`
	Stopped    string    `json:"stopped,omitempty"`    // why it is not
	Checkpoint string    `json:"checkpoint,omitempty"` // where the next run goes on
}

// end tells what became of all when it ended with that error, and returns what
// the script ends with.
func (b *backfill) end(ctx context.Context, err error) error {
	s := summary{Bucket: b.list.bucket, tally: b.tally, Begun: b.Begun, Seconds: time.Since(b.began).Round(time.Millisecond).Seconds(), DryRun: b.DryRun, Finished: err == nil}
	switch {
	case err == nil:
		err = b.forget()
	case errors.Is(err, errEnough):
		s.Stopped, s.Checkpoint, err = "-limit", b.file, nil
	case ctx.Err() != nil:
		s.Stopped, s.Checkpoint = "interrupted", b.file
	default:
		s.Stopped, s.Checkpoint = operator.Explain(err).Error(), b.file
	}
	if b.JSON {
		return errors.Join(err, b.PrintJSON(s))
	}
	done := "sent"
	if b.DryRun {
		done, s.Checkpoint = "would be sent", ""
	}
	b.Say("%s: %d %s, for %s", cli.Count(s.Objects, "object"), s.Sent, done, cli.Count(s.Jobs, "job"))
	b.sayReasons(s.Skipped)
	if s.Checkpoint != "" {
		b.Say("The same command goes on where this ended (%s).", s.Checkpoint)
	}
	return err
}

// sayReasons says why objects are not sent, the most frequent reason first.
func (b *backfill) sayReasons(skipped map[string]int64) {
	reasons := slices.SortedFunc(maps.Keys(skipped), func(x, y string) int {
		return cmp.Or(cmp.Compare(skipped[y], skipped[x]), cmp.Compare(x, y))
	})
	for _, why := range reasons {
		width := len(fmt.Sprint(skipped[reasons[0]]))
		b.Say(" %*d  skipped: %s", width, skipped[why], why)
	}
}
