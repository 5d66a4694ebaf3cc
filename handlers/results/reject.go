package results

import (
	"context"
	"time"

	"ittybit-media/handlers/media"
)

// Reject notes that a job, or without a job's name its whole upload, will never
// run, and why. A later attempt replaces the note. It returns whether the
// rejection was news.
func (t *Table) Reject(ctx context.Context, now time.Time, u media.Upload, ref media.JobRef, reason string) (stored bool, err error) {
	const doing = "noting a rejection"
	if err := t.checkKeys(doing, ref.Key, ref.Upload); err != nil {
		return false, err
	}
	row := Row{
		Key:       ref.Key,
		SortKey:   uploadPrefix + ref.Upload,
		State:     media.Rejected,
		Error:     media.Redact(reason),
		Bucket:    ref.Bucket,
		Upload:    ref.Upload,
		Job:       ref.Job,
		Attempt:   ref.Attempt,
		UpdatedAt: millis(now),
		ExpiresAt: t.expiry(now),
	}
	row.describe(u) // with the version: to try again takes the same upload
	if ref.Job != "" {
		row.SortKey += "#" + ref.Job
	}
	if u.Size != media.UnknownSize {
		row.Size = new(u.Size)
	}
	return t.put(ctx, doing, row, "attribute_not_exists(#pk) OR #attempt < :attempt", item{":attempt": number(ref.Attempt)})
}
