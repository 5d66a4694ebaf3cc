package sweeper

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
)

const skipped = "sweep skipped, since another run is under way"

// While a run is under way, another one ends at once, says so and asks for
// nothing; the next one after it goes on.
func TestRunsDoNotOverlap(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		f.dispatched(t, "a", start)
		now := start.Add(time.Hour)
		f.meanwhile(func() {
			ctx, cancel := context.WithDeadline(t.Context(), now.Add(time.Second+media.SweepTimeout))
			defer cancel()
			ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: "the other"})
			if s, err := f.Handle(ctx); err != nil || !s.Running || s.Behind || len(s.Jobs) > 0 {
				t.Errorf("the other run says %+v, %v", s, err)
			}
		})
		s := f.well(t, now)
		wantJobs(t, s, false, map[outcome]int{open: 1})
		if s.Running || len(f.asked) != 1 || len(f.log.Said(t, skipped)) != 1 {
			t.Errorf("the run says %+v and asked for %v", s, f.asked)
		}
		if s := f.well(t, now.Add(time.Second)); s.Running {
			t.Error("the lease was not released")
		}
	})
}

// The lease of a run that was killed ends a minute after the run's time.
func TestAKilledRunHoldsNoOtherForLong(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		now := start.Add(time.Hour)
		f.dispatched(t, "a", start)
		// Its release never reaches the table.
		f.Fail(func(c endpoint.Call) bool { return leaseUpdates(c) }, nil, &endpoint.Fault{Type: "AccessDeniedException", Message: "no"})
		f.well(t, now)
		f.Intercept(nil)
		until := now.Add(media.SweepTimeout + time.Minute)
		if s := f.well(t, until.Add(-time.Millisecond)); !s.Running {
			t.Error("a run began while the lease was held")
		}
		if s := f.well(t, until); s.Running {
			t.Error("the lease is held for longer than its time")
		}
	})
}

// Without an answer about the lease, the run goes ahead: its writes are
// conditional.
func TestARunGoesAheadWithoutALease(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *deployed, start time.Time) {
		id := f.dispatched(t, "a", start)
		f.ends(t, id, fakeittybit.Succeeded)
		f.Fail(leaseUpdates, &endpoint.Fault{Type: "AccessDeniedException", Message: "no"})
		wantJobs(t, f.well(t, start.Add(time.Hour)), false, map[outcome]int{settled: 1})
		if n := len(f.log.Said(t, "no lease could be taken, the run goes ahead without")); n != 1 {
			t.Errorf("%d lines about the lease", n)
		}
	})
}
