package sweeper

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"ittybit-media/handlers/function"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/record"
	"ittybit-media/handlers/results"
	"ittybit-media/handlers/telemetry"
)

// What is left of the run's time when it stops to begin with jobs, which is
// enough for one attempt of a request, and when the last requests are cut off,
// which is enough to write what came of them.
const (
	reserveToAsk   = 15 * time.Second
	reserveToWrite = 5 * time.Second
)

// asker is Ittybit.
type asker interface {
	// Get asks for a job. Where Ittybit answered, its error is an
	// *ittybit.Error.
	Get(ctx context.Context, id string) (media.Result, error)
	// Check asks for a list of one job: nil when Ittybit answers and takes the
	// key.
	Check(ctx context.Context) error
}

// workList is the table's list of open jobs.
type workList interface {
	// OverdueRows reads the open jobs that are due by now, those due longest
	// first. A row that cannot be decoded comes with its keys and
	// results.ErrUnreadable; any other error is the last thing that it gives.
	OverdueRows(ctx context.Context, now time.Time) iter.Seq2[results.Row, error]
	// Reschedule moves a job's next look. False: the job is over, or gone.
	Reschedule(ctx context.Context, key, jobID string, checkAt time.Time) (moved bool, err error)
}

// leases keeps runs from overlapping.
type leases interface {
	// TakeLease takes a lease for the owner, until then. False: another owner
	// has it.
	TakeLease(ctx context.Context, now time.Time, name, owner string, until time.Time) (taken bool, err error)
	// ReleaseLease frees a lease if the owner has it.
	ReleaseLease(ctx context.Context, name, owner string) error
}

// A run's lease ends by itself after the run must have ended, should that not
// release it.
const (
	leaseName   = "sweep"
	leaseMargin = time.Minute
)

// Handler ends the jobs whose callback does not come.
type Handler struct {
	overdue time.Duration // from dispatch until a job is asked for
	giveUp  time.Duration // from dispatch until a job that does not end is given up

	ittybit asker
	apiKey  func(context.Context) (string, error)
	jobs    workList
	leases  leases
	results record.Recorder

	log     *slog.Logger
	metrics *telemetry.Metrics
}

// Handle makes one run over the overdue jobs, whatever the event: those due
// longest first, until there are no more or the time is over. Every job that
// was asked for is due later then, so the next run goes on where this one
// ended, and no job keeps the others from being asked for.
//
// While another run is under way it does nothing. It fails with all that went
// wrong, after it did what could be done.
func (h *Handler) Handle(ctx context.Context) (record.Summary, error) {
	now := function.InvokedAt(ctx, media.SweepTimeout)
	// The deadline tells the time, so it may be days away from the clock on the
	// wall; a run does not take longer for it.
	ctx, cancel := context.WithTimeout(ctx, media.SweepTimeout)
	defer cancel()
	release, isHeld := h.lease(ctx, now)
	if isHeld {
		return record.Summary{Jobs: map[string]int{}, Running: true}, nil
	}
	defer release()
	r := newRun(h, now)
	r.sweep(ctx)
	return r.end(ctx)
}

// lease takes the lease of runs for this invocation. isHeld: another run has
// it. Where that cannot be told, the run goes ahead: its writes are conditional.
func (h *Handler) lease(ctx context.Context, now time.Time) (release func(), isHeld bool) {
	owner := ""
	if invocation, ok := lambdacontext.FromContext(ctx); ok {
		owner = invocation.AwsRequestID
	}
	taken, err := h.leases.TakeLease(ctx, now, leaseName, owner, now.Add(media.SweepTimeout+leaseMargin))
	switch {
	case err != nil:
		h.log.WarnContext(ctx, "no lease could be taken, the run goes ahead without", "error", err.Error())
	case !taken:
		h.log.InfoContext(ctx, "sweep skipped, since another run is under way")
		return nil, true
	}
	return func() {
		if err := h.leases.ReleaseLease(ctx, leaseName, owner); err != nil {
			h.log.WarnContext(ctx, "the lease was not released, it ends by itself", "error", err.Error())
		}
	}, false
}
