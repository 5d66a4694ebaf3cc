package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/function"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// skipProbe is why a probe gets no job, as logged and counted beside the
// reasons of [media.Routes.For].
const skipProbe = "probe"

// jobCreator is Ittybit.
type jobCreator interface {
	// Create makes a job, or returns the one that an earlier request with that
	// key made. Where Ittybit answered, its error is an *ittybit.Error.
	Create(ctx context.Context, body []byte, idempotencyKey string) (media.Result, error)
	// ByInput lists every job with that input, newest first, but for those made
	// clearly before since. An error is the last thing that it gives: without
	// one, a job that was not listed is not there.
	ByInput(ctx context.Context, input string, since time.Time) iter.Seq2[media.Result, error]
}

// store is the table.
type store interface {
	// Ledger reads what is known of an upload's jobs; the zero value when there
	// is nothing.
	Ledger(ctx context.Context, key, upload string) (results.Ledger, error)
	// UpdateLedger adds to it and returns it as it is then: an id or a rejection
	// that was there stays.
	UpdateLedger(ctx context.Context, now time.Time, key, upload string, entries map[results.Slot]results.Entry) (results.Ledger, error)
	// RowsByUpload reads the rows of an upload; none when it is not known.
	RowsByUpload(ctx context.Context, key, upload string) (results.UploadRows, error)
	// InsertQueued writes a job's row, or completes that of a callback. False:
	// dispatch noted the job before. It fails with [results.ErrOtherJob] when
	// the id is another job's.
	InsertQueued(ctx context.Context, d results.Dispatched) (created bool, err error)
	// Reject notes that a job, or without a job's name the upload, will never
	// run. False: that was noted before.
	Reject(ctx context.Context, now time.Time, u media.Upload, ref media.JobRef, reason string) (stored bool, err error)
	// ReserveJobs adds to the day's number of new jobs, unless that would exceed
	// the limit. False: nothing was added.
	ReserveJobs(ctx context.Context, day time.Time, n int, limit int64) (reserved bool, err error)
	// ReturnJobs takes jobs that were reserved and not made off that number.
	ReturnJobs(ctx context.Context, day time.Time, n int) error
}

// What is left of an invocation's time when the last request to Ittybit is cut
// off, and when everything is: an invocation that Lambda ends fails its whole
// batch.
const (
	reserveToWrite  = 4 * time.Second
	reserveToAnswer = time.Second
)

// before is ctx with a deadline that is earlier by d.
func before(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	deadline, limited := ctx.Deadline()
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-d))
}

// Handler turns uploads into jobs.
type Handler struct {
	routes     media.Routes
	outputs    string // prefix of the folder that outputs go to
	table      string
	webhookURL string
	connection string
	placement  media.Placement
	overdue    time.Duration // from dispatch until sweep asks for the job

	direct jobCreator // tries more than once
	queued jobCreator // tries once: the queue is the retry
	store  store
	keys   func(context.Context) (media.CallbackKeys, error)
	limit  *limit

	log     *slog.Logger
	metrics *telemetry.Metrics
}

// answer is what a person who invokes the function gets to see.
type answer struct {
	Upload  string            `json:"upload,omitempty"`
	Skipped string            `json:"skipped,omitempty"`
	Jobs    map[string]string `json:"jobs,omitempty"` // name → Ittybit's id
}

// Invoke takes one upload, or a batch of the retry queue. A single upload that
// fails fails the invocation; of a batch, the messages that failed are named
// and stay in the queue.
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	now := function.InvokedAt(ctx, media.DispatchTimeout)
	ctx, cancel := before(ctx, reserveToAnswer)
	defer cancel()
	p, err := event.DecodePayload(payload)
	if err != nil {
		h.log.ErrorContext(ctx, "unreadable payload", "error", err.Error())
		return nil, err
	}
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
func (h *Handler) batch(ctx context.Context, now time.Time, messages []event.Message) events.SQSEventResponse {
	type object struct{ bucket, key string }
	groups := map[object][]event.Message{}
	for _, m := range messages {
		o := object{m.Request.Upload.Bucket, m.Request.Upload.Key}
		groups[o] = append(groups[o], m)
	}
	resp := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, group := range groups {
		wg.Go(func() {
			for _, m := range group {
				if _, err := h.message(ctx, now, m, true); err != nil {
					mu.Lock()
					resp.BatchItemFailures = append(resp.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.ID})
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return resp
}

// message does what one message asks for; an error means that it must come
// again.
func (h *Handler) message(ctx context.Context, now time.Time, m event.Message, fromQueue bool) (answer, error) {
	if m.Probe != "" {
		return h.probe(ctx, m.Probe, fromQueue)
	}
	return h.newTask(now, m, fromQueue).do(ctx)
}

// probe fails outside the queue: Lambda then has to put the probe into it. That
// it came back from there is all that matters, so it is counted by no metric.
func (h *Handler) probe(ctx context.Context, id string, fromQueue bool) (answer, error) {
	h.log.InfoContext(ctx, "probe", "probe", id, "from_queue", fromQueue)
	if !fromQueue {
		return answer{}, fmt.Errorf("probe %s fails here on purpose: it has to come from the retry queue", id)
	}
	return answer{Skipped: skipProbe}, nil
}
