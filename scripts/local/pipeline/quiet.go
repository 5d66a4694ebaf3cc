package pipeline

import "context"

// Quiet waits until nothing more happens before the clock moves on: no function
// is at work on an event, no message waits for one, no job is worked on, no
// callback is being sent and no result event is to be. It fails with ctx.
func (p *Pipeline) Quiet(ctx context.Context) error {
	for {
		before := p.activity()
		for _, idle := range []func(context.Context) error{p.Dispatch.Idle, p.RetryQueue.Idle, p.Sweep.Idle, p.Ittybit.Idle} {
			if err := idle(ctx); err != nil {
				return err
			}
		}
		if p.Events != nil {
			if err := p.Events.Idle(ctx); err != nil {
				return err
			}
		}
		// What one of them did last may have given work to one that was asked
		// before it.
		if p.activity() == before {
			return nil
		}
	}
}

// activity grows with whatever the parts do.
func (p *Pipeline) activity() int {
	return p.Dispatch.Stats().Invocations + p.Sweep.Stats().Invocations + p.Webhook.Stats().Invocations + p.Ittybit.Callbacks().Posts
}

// Pending counts what is still to come, now or later by the clock: events that
// have not reached dispatch, messages in the retry queue, jobs at Ittybit that
// are not final and callbacks that are not delivered. Sweep's work is not in
// it.
func (p *Pipeline) Pending() int {
	d := p.RetryQueue.Depth()
	s := p.Dispatch.Stats()
	return int(p.late.Load()) + s.Queued + s.Busy + d.Visible + d.InFlight + d.Delayed + p.Ittybit.Busy()
}
