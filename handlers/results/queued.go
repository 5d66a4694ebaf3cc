package results

import (
	"context"
	"fmt"
	"time"

	"ittybit-media/handlers/media"
)

// openMark is the index's hash key in every row that is in it: sweep wants them
// in one order. One index partition takes 1,000 writes a second.
const openMark = "1"

// Dispatched is a job that dispatch created or adopted.
type Dispatched struct {
	At      time.Time // of the dispatch
	CheckAt time.Time // from when on sweep asks for it
	Upload  media.Upload
	Ref     media.JobRef
	Result  media.Result // as Ittybit answered of it
}

// InsertQueued writes the row of a job that dispatch created or adopted. Where a
// callback was faster, its row only gets what the callback did not know. Of all
// calls for one job, exactly one returns that it was the one that noted it.
//
// A job that is over already is noted as queued and due at once: its end is
// stored, and counted, by the code that stores every end.
//
// It fails with [ErrOtherJob] if the job's id is another job's.
func (t *Table) InsertQueued(ctx context.Context, d Dispatched) (created bool, err error) {
	const doing = "noting a new job"
	r, checkAt := d.Result, d.CheckAt
	if err := t.checkKeys(doing, d.Ref.Key, r.JobID); err != nil {
		return false, err
	}
	if r.State.Final() {
		r, checkAt = media.Result{JobID: r.JobID, Kind: r.Kind, CreatedAt: r.CreatedAt}, d.At
	}
	row := jobRow(d.Ref, r)
	row.describe(d.Upload)
	row.Input = d.Upload.URL()
	row.DispatchedAt, row.UpdatedAt = millis(d.At), millis(d.At)
	row.Open, row.CheckAt = openMark, millis(checkAt)

	created, err = t.put(ctx, doing, row, "attribute_not_exists(#pk)", nil)
	if created || err != nil {
		return created, err
	}
	return t.complete(ctx, doing, d.Ref, r.JobID, row.Description)
}

// complete fills in the description of a row that a callback made.
func (t *Table) complete(ctx context.Context, doing string, ref media.JobRef, jobID string, d Description) (created bool, err error) {
	attributes, err := marshal(d)
	if err != nil {
		return false, fmt.Errorf("table %s: %s: %w", t.name, doing, err)
	}
	u := newUpdate()
	u.fill(attributes)
	u.job(ref)
	key := rowKey(ref.Key, jobPrefix+jobID)
	_, created, err = t.update(ctx, doing, key, u, sameJob+" AND attribute_not_exists(#dispatched_at)")
	if created || err != nil {
		return created, err
	}
	switch s, err := t.stand(ctx, doing, ref, jobID, media.Queued.Rank()); {
	case err != nil:
		return false, err
	case s == foreign:
		return false, fmt.Errorf("table %s: %s: job %s: %w", t.name, doing, jobID, ErrOtherJob)
	case s == absent:
		return false, fmt.Errorf("table %s: %s: job %s: its row was deleted meanwhile, try again", t.name, doing, jobID)
	}
	return false, nil
}
