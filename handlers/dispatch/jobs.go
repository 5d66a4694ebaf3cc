package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/telemetry"
)

// outcome is what became of a job.
type outcome struct {
	id    string // Ittybit's; "" when there is no job
	isNew bool   // it was made and noted by this try
	err   error
}

// jobs makes the missing jobs, all at once, and returns their ids by name. What
// fails does not keep the others from being made and noted; it is tried again
// when the upload comes again.
func (t task) jobs(ctx context.Context, missing []media.Job, keys media.CallbackKeys) (map[string]string, error) {
	adopted, err := t.adopt(ctx, missing)
	if err != nil {
		return nil, fmt.Errorf("asking Ittybit for jobs that an earlier try may have made: %w", err)
	}
	outcomes := make([]outcome, len(missing))
	var wg sync.WaitGroup
	for i, job := range missing {
		wg.Go(func() { outcomes[i] = t.job(ctx, job, adopted[job.Name], keys) })
	}
	wg.Wait()

	ids := map[string]string{}
	created := 0
	errs := make([]error, len(outcomes))
	for i, o := range outcomes {
		if o.id != "" {
			ids[missing[i].Name] = o.id
		}
		if o.isNew {
			created++
		}
		if o.err != nil {
			errs[i] = fmt.Errorf("job %q: %w", missing[i].Name, o.err)
		}
	}
	t.count(ctx, created)
	err = errors.Join(errs...)
	if err == nil && len(ids) > 0 {
		t.metrics.Add(telemetry.UploadsDispatched, 1, "")
	}
	return ids, err
}

// count counts new jobs. It never fails: the jobs are there, and failing now
// would not unmake them.
func (t task) count(ctx context.Context, created int) {
	if created == 0 {
		return
	}
	t.metrics.Add(telemetry.JobsCreated, float64(created), "")
	if err := t.budget.spend(ctx, created); err != nil {
		t.log.ErrorContext(ctx, "new jobs not counted against the daily limit", "upload", t.id, "error", err.Error(), "jobs", created)
	}
}

// adopt finds, for an upload that may have been tried before, the jobs by name
// that were made then and that no row tells of: the try was interrupted between
// Ittybit and the table.
func (t task) adopt(ctx context.Context, missing []media.Job) (map[string]media.Result, error) {
	if t.req.Direct {
		return nil, nil
	}
	found := map[string]media.Result{}
	for r, err := range t.ittybit.ByInput(ctx, t.req.Upload.URL(), t.req.Upload.Time) {
		if err != nil {
			return nil, err
		}
		for _, job := range missing {
			if t.ref(job.Name).Owns(r.Metadata) {
				found[job.Name] = r // the list goes back in time: the oldest one stays
			}
		}
	}
	return found, nil
}

// job makes one job, unless one is adopted, and notes it in the table.
func (t task) job(ctx context.Context, job media.Job, adopted media.Result, keys media.CallbackKeys) outcome {
	ref := t.ref(job.Name)
	result, isAdopted := adopted, adopted.JobID != ""
	if !isAdopted {
		var err error
		result, err = t.create(ctx, job, ref, keys)
		if r, ok := errors.AsType[rejection](err); ok {
			return outcome{err: t.reject(ctx, job.Name, r.why, r.Error())}
		}
		if err != nil {
			return outcome{err: err}
		}
	}
	created, err := t.insert(ctx, ref, result)
	if err != nil {
		return outcome{err: err}
	}
	t.log.InfoContext(ctx, "job dispatched", "upload", t.id, "job", job.Name, "id", result.JobID, "attempt", ref.Attempt, "adopted", isAdopted, "new", created)
	return outcome{id: result.JobID, isNew: created && !isAdopted}
}

// rejection is why a job will never run.
type rejection struct {
	why string // as counted
	error
}

// create makes a job at Ittybit. It fails with a [rejection] when trying again
// would not help.
func (t task) create(ctx context.Context, job media.Job, ref media.JobRef, keys media.CallbackKeys) (media.Result, error) {
	token, err := keys.Sign(ref)
	if err != nil {
		return media.Result{}, err
	}
	body, idempotencyKey, err := media.JobRequest{
		Upload:     t.req.Upload,
		Ref:        ref,
		Job:        job,
		Outputs:    t.outputs,
		Connection: t.connection,
		Placement:  t.placement,
		WebhookURL: t.webhookURL,
		Token:      token,
	}.Body()
	if err != nil {
		return media.Result{}, rejection{rejectOutput, err}
	}
	result, err := t.ittybit.Create(ctx, body, idempotencyKey)
	// The first time, the object may not have been readable yet: only the same
	// answer to a later try is Ittybit's last word.
	if refusal, ok := errors.AsType[*ittybit.Error](err); ok && refusal.Permanent() && t.fromQueue {
		return media.Result{}, rejection{rejectRefused, err}
	}
	return result, err
}
