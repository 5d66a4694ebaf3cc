package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/sync/errgroup"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// skipProbe is why a probe gets no job, as logged and counted beside the reasons
// of [media.Routes.For].
const skipProbe = "probe"

// Why an upload or a job will never run, as counted.
const (
	rejectUnreadable = "unreadable event"
	rejectTooLarge   = "too large"
	rejectOutput     = "impossible output"
	rejectNoSuchJob  = "no such job"
	rejectRefused    = "refused by Ittybit"
)

// errDailyLimit puts an upload off: the retry queue brings it back.
var errDailyLimit = errors.New("the day's limit of new jobs is reached; the upload waits in the retry queue (DAILY_JOB_LIMIT)")

// jobCreator is Ittybit.
type jobCreator interface {
	Create(ctx context.Context, body []byte, idempotencyKey string) (media.Result, error)
	// ByInput is every job with that input, newest first, but for those made
	// clearly before since.
	ByInput(ctx context.Context, input string, since time.Time) iter.Seq2[media.Result, error]
}

// ledger is the table.
type ledger interface {
	Upload(ctx context.Context, key, upload string) (results.Ledger, error)
	Queued(ctx context.Context, now time.Time, u media.Upload, ref media.JobRef, r media.Result, checkAt time.Time) (created bool, err error)
	Reject(ctx context.Context, now time.Time, u media.Upload, ref media.JobRef, reason string) (stored bool, err error)
	JobsOn(ctx context.Context, day time.Time) (int64, error)
	CountJobs(ctx context.Context, day time.Time, n int) error
}

// handler turns uploads into jobs.
type handler struct {
	routes     media.Routes
	outputs    string // prefix of the folder that outputs go to
	table      string
	webhookURL string
	connection string
	placement  media.Placement
	overdue    time.Duration // from dispatch until sweep asks for the job

	direct jobCreator // tries more than once
	queued jobCreator // tries once: the queue is the retry
	ledger ledger
	keys   func(context.Context) (media.CallbackKeys, error)
	budget *budget // nil: no daily limit

	log     *slog.Logger
	metrics *telemetry.Metrics
}

// answer is what somebody who invokes the function by hand gets to see.
type answer struct {
	Upload  string            `json:"upload,omitempty"`
	Skipped string            `json:"skipped,omitempty"`
	Jobs    map[string]string `json:"jobs,omitempty"` // name → Ittybit's id
}

// Invoke takes one upload, or a batch of the retry queue. A single upload that
// fails fails the invocation; of a batch, the messages that failed are named
// and stay in the queue.
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	p, err := event.DecodePayload(payload)
	if err != nil {
		h.log.ErrorContext(ctx, "unreadable payload", "error", err.Error())
		return nil, err
	}
	now := function.InvokedAt(ctx, media.DispatchTimeout)
	if p.Queue {
		return json.Marshal(h.batch(ctx, now, p.Messages))
	}
	a, err := h.message(ctx, now, p.Messages[0], false)
	if err != nil {
		return nil, err
	}
	return json.Marshal(a)
}

// batch works on the messages at once, but one after the other on those of the
// same object: the second one then finds what the first one did.
func (h *handler) batch(ctx context.Context, now time.Time, messages []event.Message) events.SQSEventResponse {
	type object struct{ bucket, key string }
	groups := map[object][]event.Message{}
	for _, m := range messages {
		o := object{m.Request.Upload.Bucket, m.Request.Upload.Key}
		groups[o] = append(groups[o], m)
	}
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, group := range groups {
		wg.Go(func() {
			for _, m := range group {
				if _, err := h.message(ctx, now, m, true); err != nil {
					mu.Lock()
					response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.ID})
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return response
}

// message does what one message asks for; an error means that it must come
// again.
func (h *handler) message(ctx context.Context, now time.Time, m event.Message, fromQueue bool) (answer, error) {
	if m.Probe != "" {
		return h.probe(ctx, m.Probe, fromQueue)
	}
	u := m.Request.Upload
	log := h.log.With("bucket", u.Bucket, "key", u.Key)
	a, err := h.upload(ctx, now, log, m, fromQueue)
	switch {
	case errors.Is(err, errDailyLimit):
		log.WarnContext(ctx, "upload put off", "error", err.Error())
		h.metrics.Add(telemetry.DailyLimitReached, 1, "")
	case err != nil:
		log.ErrorContext(ctx, "upload not dispatched", "error", err.Error(), "from_queue", fromQueue)
	case a.Skipped != "":
		log.InfoContext(ctx, "upload skipped", "reason", a.Skipped, "size", u.Size)
		h.metrics.Add(telemetry.UploadsSkipped, 1, a.Skipped)
	}
	return a, err
}

// probe fails outside the queue: Lambda then has to put the probe into it. That
// it came back from there is all that anyone wants of it, so it is counted by no
// metric.
func (h *handler) probe(ctx context.Context, id string, fromQueue bool) (answer, error) {
	h.log.InfoContext(ctx, "probe", "probe", id, "from_queue", fromQueue)
	if !fromQueue {
		return answer{}, fmt.Errorf("probe %s fails here on purpose: it has to come from the retry queue", id)
	}
	return answer{Skipped: skipProbe}, nil
}

func (h *handler) upload(ctx context.Context, now time.Time, log *slog.Logger, m event.Message, fromQueue bool) (answer, error) {
	r, u := m.Request, m.Request.Upload
	if u.Key == "" {
		return answer{}, m.Err
	}
	id := u.ID(h.table)
	ref := media.JobRef{Bucket: u.Bucket, Key: u.Key, Upload: id, Attempt: r.Attempt}
	t := task{handler: h, now: now, log: log.With("upload", id), request: r, fromQueue: fromQueue}
	if m.Err != nil {
		return answer{Upload: id}, t.reject(ctx, ref, rejectUnreadable, m.Err.Error())
	}
	route, skip := h.routes.For(u, media.Folder{Prefix: h.outputs})
	if skip != "" {
		return answer{Upload: id, Skipped: skip}, nil
	}
	if route.TooLarge(u.Size) {
		return answer{Upload: id}, t.reject(ctx, ref, rejectTooLarge,
			fmt.Sprintf("the upload has %d bytes; its route takes %d (maxBytes)", u.Size, route.MaxBytes))
	}
	done, keys, err := h.prepare(ctx, now, u.Key, id)
	if err != nil {
		return answer{}, err
	}
	// A try that was cut short after its POST left these to the callback, which
	// knows nothing of the upload.
	for _, row := range done.Unnoted(r.Attempt) {
		ref.Job = row.Job
		if _, err := h.ledger.Queued(ctx, now, u, ref, media.Result{JobID: row.JobID()}, now.Add(h.overdue)); err != nil {
			return answer{}, err
		}
	}
	var missing []media.JobRef
	jobs := map[string]media.Job{}
	for _, job := range route.Jobs {
		jobs[job.Name] = job
		ref.Job = job.Name
		if r.Wants(job.Name) && !done.Has(job.Name, r.Attempt) {
			missing = append(missing, ref)
		}
	}
	for _, name := range r.Jobs {
		if _, ok := jobs[name]; !ok && !done.Has(name, r.Attempt) {
			ref.Job = name
			if err := t.reject(ctx, ref, rejectNoSuchJob, fmt.Sprintf("the route of the upload has no job %q", name)); err != nil {
				return answer{}, err
			}
		}
	}
	if len(missing) == 0 {
		return answer{Upload: id, Skipped: media.SkipHaveJobs}, nil
	}
	if err := h.budget.check(ctx); err != nil {
		return answer{}, err
	}
	made, err := t.run(ctx, jobs, missing, keys)
	return answer{Upload: id, Jobs: made}, err
}

// prepare fetches at once what every job of the upload needs.
func (h *handler) prepare(ctx context.Context, now time.Time, key, upload string) (done results.Ledger, keys media.CallbackKeys, err error) {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		done, err = h.ledger.Upload(gctx, key, upload)
		return err
	})
	g.Go(func() (err error) {
		keys, err = h.keys(gctx)
		return err
	})
	g.Go(func() error { return h.budget.refresh(gctx, now) })
	err = g.Wait()
	return done, keys, err
}

// task is the work on one upload.
type task struct {
	*handler
	now       time.Time // when the invocation began
	log       *slog.Logger
	request   event.Request
	fromQueue bool
}

// run makes the missing jobs, all at once. What fails does not keep the others
// from being made and noted; it is tried again when the upload comes again.
func (t task) run(ctx context.Context, jobs map[string]media.Job, missing []media.JobRef, keys media.CallbackKeys) (map[string]string, error) {
	adopted, err := t.adopt(ctx, missing)
	if err != nil {
		return nil, fmt.Errorf("asking Ittybit for jobs that an earlier try may have made: %w", err)
	}
	type outcome struct {
		id      string
		created bool
		err     error
	}
	outcomes := make([]outcome, len(missing))
	var wg sync.WaitGroup
	for i, ref := range missing {
		wg.Go(func() {
			o := &outcomes[i]
			if o.id, o.created, o.err = t.job(ctx, jobs[ref.Job], ref, adopted[ref.Job], keys); o.err != nil {
				o.err = fmt.Errorf("job %q: %w", ref.Job, o.err)
			}
		})
	}
	wg.Wait()

	made := map[string]string{}
	created := 0
	errs := make([]error, len(outcomes))
	for i, o := range outcomes {
		if o.id != "" {
			made[missing[i].Job] = o.id
		}
		if o.created {
			created++
		}
		errs[i] = o.err
	}
	if created > 0 {
		t.metrics.Add(telemetry.JobsCreated, float64(created), "")
		if err := t.budget.spend(ctx, created); err != nil {
			// The jobs are there: failing now would not unmake them.
			t.log.ErrorContext(ctx, "new jobs not counted against the daily limit", "error", err.Error(), "jobs", created)
		}
	}
	err = errors.Join(errs...)
	if err == nil && len(made) > 0 {
		t.metrics.Add(telemetry.UploadsDispatched, 1, "")
	}
	return made, err
}

// adopt finds, for an upload that may have been tried before, the jobs that
// were made then and that no row tells of: the try was cut short between
// Ittybit and the table.
func (t task) adopt(ctx context.Context, missing []media.JobRef) (map[string]media.Result, error) {
	if t.request.Direct {
		return nil, nil
	}
	found := map[string]media.Result{}
	for r, err := range t.ittybit().ByInput(ctx, t.request.Upload.URL(), t.request.Upload.Time) {
		if err != nil {
			return nil, err
		}
		for _, ref := range missing {
			if ref.Owns(r.Metadata) {
				found[ref.Job] = r // the list goes back in time: the oldest one stays
			}
		}
	}
	return found, nil
}

func (t task) ittybit() jobCreator {
	if t.fromQueue {
		return t.handler.queued
	}
	return t.direct
}

// job makes or adopts one job and notes it in the table.
func (t task) job(ctx context.Context, job media.Job, ref media.JobRef, adopted media.Result, keys media.CallbackKeys) (id string, created bool, err error) {
	log := t.log.With("job", job.Name)
	u := t.request.Upload
	result, isAdopted := adopted, adopted.JobID != ""
	if !isAdopted {
		token, err := keys.Sign(ref)
		if err != nil {
			return "", false, err
		}
		body, idempotencyKey, err := media.JobRequest{
			Upload:     u,
			Ref:        ref,
			Job:        job,
			Outputs:    t.outputs,
			Connection: t.connection,
			Placement:  t.placement,
			WebhookURL: t.webhookURL,
			Token:      token,
		}.Body()
		if err != nil {
			return "", false, t.reject(ctx, ref, rejectOutput, err.Error())
		}
		if result, err = t.ittybit().Create(ctx, body, idempotencyKey); err != nil {
			// The first time, the object may not have been readable yet: only
			// the same answer to a later try is Ittybit's last word.
			if refusal, ok := errors.AsType[*ittybit.Error](err); ok && refusal.Permanent() && t.fromQueue {
				return "", false, t.reject(ctx, ref, rejectRefused, err.Error())
			}
			return "", false, err
		}
	}
	created, err = t.ledger.Queued(ctx, t.now, u, ref, result, t.now.Add(t.overdue))
	if err != nil {
		return "", false, err
	}
	log.InfoContext(ctx, "job dispatched", "id", result.JobID, "attempt", ref.Attempt, "adopted", isAdopted, "new", created)
	return result.JobID, created && !isAdopted, nil
}

// reject notes that the job, or without a job's name the whole upload, will
// never run.
func (t task) reject(ctx context.Context, ref media.JobRef, why, reason string) error {
	stored, err := t.ledger.Reject(ctx, t.now, t.request.Upload, ref, reason)
	if err != nil {
		return fmt.Errorf("noting the rejection (%s): %w", reason, err)
	}
	if stored {
		t.log.ErrorContext(ctx, "rejected", "job", ref.Job, "reason", media.Redact(reason))
		t.metrics.Add(telemetry.Rejected, 1, why)
	}
	return nil
}
