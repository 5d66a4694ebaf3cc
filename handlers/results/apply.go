package results

import (
	"context"
	"fmt"
	"time"

	"ittybit-media/handlers/media"
)

// Mode says what [Table.Apply] does where there is no row.
type Mode int

const (
	// CreateOrUpdate makes the row: the callback was faster than dispatch. Only
	// for those who know from a token whose job it is.
	CreateOrUpdate Mode = iota
	// UpdateOnly takes only what a row of dispatch confirms.
	UpdateOnly
)

// Verdict is what became of a result.
type Verdict int

const (
	// Stored: the row has it now.
	Stored Verdict = iota
	// Duplicate: the row has it, or something later.
	Duplicate
	// Missing: there is no row.
	Missing
	// Mismatch: the row is that of another upload, job or attempt.
	Mismatch
)

// String is the verdict for logs.
func (v Verdict) String() string {
	switch v {
	case Stored:
		return "stored"
	case Duplicate:
		return "duplicate"
	case Missing:
		return "missing"
	case Mismatch:
		return "mismatch"
	}
	return fmt.Sprintf("Verdict(%d)", int(v))
}

// Outcome is what [Table.Apply] did. The times are those of a row that was
// there and was changed, as far as it knows them.
type Outcome struct {
	Verdict      Verdict
	Completed    bool      // the row had that final state: it was counted and told before
	UploadedAt   time.Time // when S3 made the object
	DispatchedAt time.Time // when dispatch noted the job
}

// applyAttempts bounds how often Apply tries again because the row came, or
// rose, between its write and its look at why that was refused. Ranks only
// rise, so the second try settles it unless somebody deletes rows.
const applyAttempts = 3

// Report is what Ittybit said of a job, or what sweep made of its silence.
type Report struct {
	At     time.Time
	Ref    media.JobRef // whose job it is
	Result media.Result
	Mode   Mode
}

// Apply writes a report, unless the row's rank says that it is no news. A
// success without outputs is completed by one that has them. What the result
// leaves out, the row keeps; but its error is that of the state it has.
func (t *Table) Apply(ctx context.Context, report Report) (Outcome, error) {
	const doing = "storing a result"
	ref, r, mode := report.Ref, report.Result, report.Mode
	if err := t.checkKeys(doing, ref.Key, r.JobID); err != nil {
		return Outcome{}, err
	}
	u, err := t.change(report.At, ref, r)
	if err != nil {
		return Outcome{}, fmt.Errorf("table %s: %s: %w", t.name, doing, err)
	}
	news := "#rank < :rank"
	if len(r.Outputs) > 0 && r.State == media.Succeeded {
		news = "(" + news + " OR (#rank = :rank AND attribute_not_exists(#output_url)))"
	}
	condition := sameJob + " AND " + news
	if mode == CreateOrUpdate {
		condition = "attribute_not_exists(#pk) OR (" + condition + ")"
	}
	key := rowKey(ref.Key, jobPrefix+r.JobID)
	for range applyAttempts {
		before, stored, err := t.update(ctx, doing, key, u, condition)
		if err != nil {
			return Outcome{}, err
		}
		if stored {
			return Outcome{
				Verdict:      Stored,
				Completed:    before.State == r.State.String() && r.State.Final(),
				UploadedAt:   before.UploadedAt.Time(),
				DispatchedAt: before.DispatchedAt.Time(),
			}, nil
		}
		s, err := t.stand(ctx, doing, ref, r.JobID, r.State.Rank())
		switch {
		case err != nil:
			return Outcome{}, err
		case s == level:
			return Outcome{Verdict: Duplicate}, nil
		case s == foreign:
			return Outcome{Verdict: Mismatch}, nil
		case s == absent && mode == UpdateOnly:
			return Outcome{Verdict: Missing}, nil
		}
	}
	return Outcome{}, fmt.Errorf("table %s: %s: job %s: its row changes too fast, try again", t.name, doing, r.JobID)
}

// change is how a result changes a row.
func (t *Table) change(now time.Time, ref media.JobRef, r media.Result) (*update, error) {
	row := jobRow(ref, r)
	row.UpdatedAt = millis(now)
	if r.State.Final() {
		row.ExpiresAt = t.expiry(now)
	} else {
		row.Open = openMark
	}
	attributes, err := row.attributes()
	if err != nil {
		return nil, err
	}
	delete(attributes, PartitionKey)
	delete(attributes, SortKey)

	u := newUpdate()
	u.set(attributes)
	if r.State.Final() {
		u.remove(OpenIndexHashKey, OpenIndexSortKey)
	} else {
		// Dispatch's time stays. Without one, sweep looks soon.
		u.fill(item{OpenIndexSortKey: number(millis(now))})
	}
	if row.Error == "" {
		u.remove("error")
	}
	if len(row.Outputs) > 0 && row.OutputsOmitted == 0 {
		u.remove("outputs_omitted")
	}
	return u, nil
}
