package main

import (
	"context"
	"fmt"
	"time"
)

// retryPath is how far the probe came. The times are zero where it was not
// seen.
type retryPath struct {
	sent    time.Time
	failed  time.Time // at dispatch, on purpose
	queued  time.Time // it, or another message, was seen to be in the queue
	done    time.Time // back at dispatch
	problem error     // nil: the way is open
}

// depth is about how many messages are in the retry queue.
func (s *smoke) depth(ctx context.Context) (int64, error) {
	d, err := s.stack.QueueDepth(ctx, s.out.RetryQueueURL)
	if err != nil {
		return 0, err
	}
	return d.All(), nil
}

// probe sends a probe and waits until it comes back from the retry queue.
// Dispatch's log is the proof. Where the log tells nothing, as with a logLevel
// above info, it is the queue's depth, which rises and falls again.
func (s *smoke) probe(ctx context.Context) retryPath {
	defer s.done(partProbe)
	before, err := s.depth(ctx)
	counted := err == nil
	if err != nil && ctx.Err() == nil {
		s.note(partProbe, "%v", err)
	}
	p := retryPath{sent: time.Now()}
	if err := s.stack.Dispatcher(1).Probe(ctx, s.marker); err != nil {
		p.problem = err
		return p
	}
	limited, cancel := context.WithTimeout(ctx, s.pace.comeBack)
	defer cancel()
	for {
		s.eachLine(limited, "dispatch", "probe", s.marker, func(l line) {
			if l.FromQueue {
				p.done = l.at
			} else {
				p.failed = l.at
			}
		})
		if counted {
			now, err := s.depth(limited)
			switch {
			case err != nil:
			case now > before && p.queued.IsZero():
				p.queued = time.Now()
			case now <= before && !p.queued.IsZero() && p.failed.IsZero():
				p.done = time.Now()
			}
		}
		switch {
		case !p.done.IsZero():
			return p
		case !p.queued.IsZero():
			s.waits(partProbe, "the probe is in the retry queue and comes back after a minute")
		case !p.failed.IsZero():
			s.waits(partProbe, "waiting for Lambda to put the probe into the retry queue")
		default:
			s.waits(partProbe, "waiting for dispatch to fail at the probe")
		}
		if !s.pause(limited) {
			if ctx.Err() == nil {
				p.problem = s.lost(p)
			}
			return p
		}
	}
}

// lost says where a probe is that did not come back.
func (s *smoke) lost(p retryPath) error {
	dispatch := s.out.Functions["dispatch"]
	switch {
	case !p.queued.IsZero():
		return fmt.Errorf("the probe, or another message, is in the retry queue, but dispatch has not got it back in %v: is the event source mapping of %s enabled?", s.pace.comeBack, dispatch)
	case !p.failed.IsZero():
		return fmt.Errorf("the probe failed at dispatch, but was not in the queue in %v: Lambda cannot deliver to the retry queue. Look at the alarm destination and at the role of %s, which must be allowed to send to the queue", s.pace.comeBack, dispatch)
	}
	return fmt.Errorf("nothing is to be seen of the probe after %v, neither in the log of %s nor in the retry queue", s.pace.comeBack, dispatch)
}
