package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// Why an upload or a job will never run, as counted.
const (
	rejectUnreadable = "unreadable event"
	rejectTooLarge   = "too large"
	rejectOutput     = "impossible output"
	rejectNoSuchJob  = "no such job"
	rejectRefused    = "refused by Ittybit"
)

const (
	// directFor is how old S3's own event may be and still count as the first
	// try. An older one may be a repetition.
	directFor = time.Minute
	// rowsFor is how long after the ledger was written a try writes the rows of
	// its jobs: later they may have expired, and would come back.
	rowsFor = 14 * 24 * time.Hour
)

// task is the work on one upload.
type task struct {
	*Handler
	now        time.Time // when the invocation began
	req        event.Request
	direct     bool   // nothing of the upload can have been tried before
	unreadable error  // why the message cannot be read as a whole; nil: it can
	id         string // the upload's
	ittybit    jobCreator
	fromQueue  bool
	log        *slog.Logger
}

func (h *Handler) newTask(now time.Time, m event.Message, fromQueue bool) task {
	u := m.Request.Upload
	t := task{
		Handler:    h,
		now:        now,
		req:        m.Request,
		direct:     m.Request.Direct && !fromQueue && now.Sub(u.Time) <= directFor,
		unreadable: m.Err,
		id:         u.ID(h.table),
		ittybit:    h.direct,
		fromQueue:  fromQueue,
		log:        h.log.With("bucket", u.Bucket, "key", u.Key),
	}
	if fromQueue {
		t.ittybit = h.queued
	}
	return t
}

// slot is the job's place in the upload's ledger.
func (t task) slot(job string) results.Slot {
	return results.Slot{Job: job, Attempt: t.req.Attempt}
}

// ref names a job of the upload; without a job's name it is for all of them.
func (t task) ref(s results.Slot) media.JobRef {
	u := t.req.Upload
	return media.JobRef{Bucket: u.Bucket, Key: u.Key, Upload: t.id, Job: s.Job, Attempt: s.Attempt}
}

// do works on the upload and tells what came of it.
func (t task) do(ctx context.Context) (answer, error) {
	a, err := t.upload(ctx)
	switch {
	case errors.Is(err, errDailyLimit):
		t.log.WarnContext(ctx, "upload put off", "error", err.Error())
		t.metrics.Add(telemetry.DailyLimitReached, 1, "")
	case err != nil:
		t.log.ErrorContext(ctx, "upload not dispatched", "error", err.Error(), "from_queue", t.fromQueue)
	case a.Skipped != "":
		t.log.InfoContext(ctx, "upload skipped", "reason", a.Skipped, "size", t.req.Upload.Size)
		t.metrics.Add(telemetry.UploadsSkipped, 1, a.Skipped)
	}
	return a, err
}

// upload finds out which jobs the upload lacks, and makes them.
func (t task) upload(ctx context.Context) (answer, error) {
	u := t.req.Upload
	if u.Key == "" {
		return answer{}, t.unreadable
	}
	a := answer{Upload: t.id}
	if t.unreadable != nil {
		return a, t.reject(ctx, rejectUnreadable, t.unreadable.Error())
	}
	route, skip := t.routes.For(u, media.Folder{Prefix: t.outputs})
	if skip != "" {
		a.Skipped = skip
		return a, nil
	}
	if route.TooLarge(u.Size) {
		return a, t.reject(ctx, rejectTooLarge,
			fmt.Sprintf("the upload has %d bytes; its route takes %d (maxBytes)", u.Size, route.MaxBytes))
	}
	s, err := t.prepare(ctx, len(route.Jobs))
	if err != nil {
		return a, err
	}
	p := planJobs(route, t.req, s.known)
	if len(p.missing)+len(p.unknown) == 0 {
		a.Skipped = media.SkipHaveJobs
		return a, t.leave(ctx, s)
	}
	a.Jobs, err = t.jobs(ctx, p, s)
	return a, err
}

// start is what a try begins with.
type start struct {
	known    results.Ledger
	unnoted  map[results.Slot]string // ids that only a callback has noted, where dispatch never wrote a ledger
	keys     media.CallbackKeys
	reserved reservation
	full     error // [errDailyLimit], or nil
}

// prepare fetches at once what the jobs need. A direct try reserves them all
// while it reads; any other finds out first which are to be made. What is under
// way is waited for, whatever fails: a reservation must not be lost.
func (t task) prepare(ctx context.Context, jobs int) (start, error) {
	var s start
	var wg sync.WaitGroup
	var errs [3]error
	wg.Go(func() { s.known, s.unnoted, errs[0] = t.known(ctx) })
	wg.Go(func() { s.keys, errs[1] = t.keys(ctx) })
	if t.direct {
		wg.Go(func() { s.reserved, errs[2] = t.limit.reserve(ctx, t.now, jobs) })
	}
	wg.Wait()
	if errors.Is(errs[2], errDailyLimit) {
		s.full, errs[2] = errs[2], nil
	}
	err := errors.Join(errs[:]...)
	if err != nil {
		t.giveBack(ctx, s.reserved, s.reserved.jobs)
	}
	return s, err
}

// known reads the ledger. Where there is none, a try that is not the first may
// be of an upload that was dispatched before there were ledgers: then the rows of
// its key tell.
func (t task) known(ctx context.Context) (results.Ledger, map[results.Slot]string, error) {
	key := t.req.Upload.Key
	l, err := t.store.Ledger(ctx, key, t.id)
	if err != nil || t.direct || !l.WrittenAt.IsZero() {
		return l, nil, err
	}
	rows, err := t.store.RowsByUpload(ctx, key, t.id)
	known, unnoted := rows.Ledger(), map[results.Slot]string{}
	for _, row := range rows.Unnoted(t.req.Attempt) {
		unnoted[results.Slot{Job: row.Job, Attempt: row.Attempt}] = row.JobID()
	}
	for slot, entry := range l.Entries { // a callback's claims
		known.Entries[slot] = entry
		unnoted[slot] = entry.ID
	}
	return known, unnoted, err
}

// leave ends a try that has nothing to make: it gives back what it reserved, and
// a try that is not the first writes the rows that an interrupted one left out.
func (t task) leave(ctx context.Context, s start) error {
	t.giveBack(ctx, s.reserved, s.reserved.jobs)
	if t.direct {
		return nil
	}
	l := s.known
	if l.WrittenAt.IsZero() { // from rows: the next try need not read them
		var err error
		if l, err = t.store.UpdateLedger(ctx, t.now, t.req.Upload.Key, t.id, s.known.Entries); err != nil {
			return err
		}
	}
	_, err := t.rows(ctx, s, l, nil)
	return err
}

// giveBack returns room for n reserved jobs. It never fails: what cannot be
// returned stays unused, and the limit holds.
func (t task) giveBack(ctx context.Context, r reservation, n int) {
	if err := t.limit.giveBack(ctx, r, n); err != nil {
		t.log.WarnContext(ctx, "reserved jobs not given back: the day's limit is that much lower", "upload", t.id, "jobs", n, "error", err.Error())
	}
}

// reject notes that the whole upload will never run.
func (t task) reject(ctx context.Context, why, reason string) error {
	slot := t.slot("")
	rejection := &results.Rejection{Why: why, Reason: reason}
	if _, err := t.store.UpdateLedger(ctx, t.now, t.req.Upload.Key, t.id, map[results.Slot]results.Entry{slot: {Rejected: rejection}}); err != nil {
		return fmt.Errorf("noting the rejection (%s): %w", reason, err)
	}
	return t.rejectionRow(ctx, slot, *rejection)
}

// rejectionRow writes the row of a rejection, and counts it if it is news.
func (t task) rejectionRow(ctx context.Context, slot results.Slot, r results.Rejection) error {
	stored, err := t.store.Reject(ctx, t.now, t.req.Upload, t.ref(slot), r.Reason)
	if err != nil {
		return fmt.Errorf("noting the rejection (%s): %w", r.Reason, err)
	}
	if stored {
		t.log.ErrorContext(ctx, "rejected", "upload", t.id, "job", slot.Job, "reason", media.Redact(r.Reason))
		t.metrics.Add(telemetry.Rejected, 1, r.Why)
	}
	return nil
}
