package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

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

// task is the work on one upload.
type task struct {
	*handler
	now        time.Time // when the invocation began
	req        event.Request
	unreadable error  // why the message cannot be read as a whole; nil: it can
	id         string // the upload's
	ittybit    jobCreator
	fromQueue  bool
	log        *slog.Logger
}

func (h *handler) newTask(now time.Time, m event.Message, fromQueue bool) task {
	t := task{
		handler:    h,
		now:        now,
		req:        m.Request,
		unreadable: m.Err,
		id:         m.Request.Upload.ID(h.table),
		ittybit:    h.direct,
		fromQueue:  fromQueue,
		log:        h.log.With("bucket", m.Request.Upload.Bucket, "key", m.Request.Upload.Key),
	}
	if fromQueue {
		t.ittybit = h.queued
	}
	return t
}

// ref names a job of the upload; without a job's name it is for all of them.
func (t task) ref(job string) media.JobRef {
	u := t.req.Upload
	return media.JobRef{Bucket: u.Bucket, Key: u.Key, Upload: t.id, Job: job, Attempt: t.req.Attempt}
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
		return a, t.reject(ctx, "", rejectUnreadable, t.unreadable.Error())
	}
	route, skip := t.routes.For(u, media.Folder{Prefix: t.outputs})
	if skip != "" {
		a.Skipped = skip
		return a, nil
	}
	if route.TooLarge(u.Size) {
		return a, t.reject(ctx, "", rejectTooLarge,
			fmt.Sprintf("the upload has %d bytes; its route takes %d (maxBytes)", u.Size, route.MaxBytes))
	}
	rows, keys, err := t.prepare(ctx)
	if err != nil {
		return a, err
	}
	p := planJobs(route, t.req, rows)
	if err := t.note(ctx, p); err != nil {
		return a, err
	}
	if len(p.missing) == 0 {
		a.Skipped = media.SkipHaveJobs
		return a, nil
	}
	if err := t.budget.check(); err != nil {
		return a, err
	}
	a.Jobs, err = t.jobs(ctx, p.missing, keys)
	return a, err
}

// prepare fetches at once what every job of the upload needs.
func (t task) prepare(ctx context.Context) (rows results.UploadRows, keys media.CallbackKeys, err error) {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		rows, err = t.store.RowsByUpload(gctx, t.req.Upload.Key, t.id)
		return err
	})
	g.Go(func() (err error) {
		keys, err = t.keys(gctx)
		return err
	})
	g.Go(func() error { return t.budget.refresh(gctx, t.now) })
	err = g.Wait()
	return rows, keys, err
}

// note writes what the plan says of jobs that are not to be made. A try that was
// interrupted after its POST left the unnoted ones to the callback, which knows
// nothing of the upload.
func (t task) note(ctx context.Context, p plan) error {
	for _, row := range p.unnoted {
		if _, err := t.insert(ctx, t.ref(row.Job), media.Result{JobID: row.JobID()}); err != nil {
			return err
		}
	}
	for _, name := range p.unknown {
		if err := t.reject(ctx, name, rejectNoSuchJob, fmt.Sprintf("the route of the upload has no job %q", name)); err != nil {
			return err
		}
	}
	return nil
}

// insert notes a job of the upload, and returns whether no try noted it before.
func (t task) insert(ctx context.Context, ref media.JobRef, r media.Result) (created bool, err error) {
	return t.store.InsertQueued(ctx, results.Dispatched{
		At:      t.now,
		CheckAt: t.now.Add(t.overdue),
		Upload:  t.req.Upload,
		Ref:     ref,
		Result:  r,
	})
}

// reject notes that the job, or without a job's name the whole upload, will
// never run.
func (t task) reject(ctx context.Context, job, why, reason string) error {
	stored, err := t.store.Reject(ctx, t.now, t.req.Upload, t.ref(job), reason)
	if err != nil {
		return fmt.Errorf("noting the rejection (%s): %w", reason, err)
	}
	if stored {
		t.log.ErrorContext(ctx, "rejected", "upload", t.id, "job", job, "reason", media.Redact(reason))
		t.metrics.Add(telemetry.Rejected, 1, why)
	}
	return nil
}
