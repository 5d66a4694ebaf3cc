package fakeittybit

import (
	"errors"
	"fmt"
	"time"

	"ittybit-media/handlers/media"
)

// start has a new job worked on. From here on the job is known by its id: it
// changes only under s.mu.
func (s *Server) start(created *Job) {
	if s.opts.Changed != nil {
		s.opts.Changed(*created)
	}
	var outcome Outcome
	if s.opts.Outcome != nil {
		outcome = s.opts.Outcome(*created)
	}
	id := created.ID
	finish := func() { s.finish(id, outcome) }
	s.background.do(s.work, func() {
		s.change(id, func(j *Job, now time.Time) { j.Status, j.StartedAt = Processing, now })
		if outcome.After > 0 {
			s.opts.Clock.AfterFunc(outcome.After, func() { s.background.do(s.work, finish) })
			return
		}
		finish()
	})
}

// finish does the job's work and ends it, unless its outcome is another.
func (s *Server) finish(id string, outcome Outcome) {
	switch {
	case outcome.Status == "":
		s.mu.Lock()
		j := *s.jobs[id]
		s.mu.Unlock()
		s.conclude(id, s.produce(&j))
	case outcome.Status.Final():
		s.conclude(id, forced(outcome))
	}
}

func forced(outcome Outcome) result {
	switch outcome.Status {
	case Succeeded:
		return result{}
	case Cancelled:
		return result{cancelled: true}
	default:
		orDefault(&outcome.Message, "the fake was told to fail this job")
		return result{failure: &Failure{"internal_error", outcome.Message}}
	}
}

// Finish ends a job that is not final: it becomes what the outcome says, as far
// as that is final, at once.
func (s *Server) Finish(id string, outcome Outcome) error {
	if !outcome.Status.Final() {
		return fmt.Errorf("fakeittybit: %q is no final status", outcome.Status)
	}
	if !s.conclude(id, forced(outcome)) {
		return fmt.Errorf("fakeittybit: there is no unfinished job %q", id)
	}
	return nil
}

// result is what came of a job's work.
type result struct {
	url       string // "": as if the output were there
	duration  *time.Duration
	failure   *Failure
	cancelled bool
}

// failed is a result that says what is wrong.
func failed(kind, format string, args ...any) result {
	return result{failure: &Failure{kind, media.Redact(fmt.Sprintf(format, args...))}}
}

func (s *Server) conclude(id string, r result) bool {
	if s.ctx.Err() != nil {
		return false // what failed now, failed because the fake is closed
	}
	return s.change(id, func(j *Job, now time.Time) {
		j.FinishedAt = now
		switch {
		case r.cancelled:
			j.Status = Cancelled
		case r.failure != nil:
			j.Status, j.Failure = Failed, r.failure
		default:
			j.Status, j.OutputURL = Succeeded, r.url
			if j.OutputURL == "" {
				j.OutputURL = j.target()
			}
			if r.duration != nil {
				ms := r.duration.Milliseconds()
				j.DurationMS = &ms
			}
		}
	})
}

// change changes a job that is not final and calls back if that is due. It
// reports whether there was such a job.
func (s *Server) change(id string, to func(j *Job, now time.Time)) bool {
	after, changed := s.changeLocked(id, to)
	if changed && s.opts.Changed != nil {
		s.opts.Changed(after)
	}
	return changed
}

func (s *Server) changeLocked(id string, to func(j *Job, now time.Time)) (after Job, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[id]
	if j == nil || j.Status.Final() {
		return Job{}, false
	}
	now := s.opts.Clock.Now()
	to(j, now)
	j.UpdatedAt = now
	after = *j
	if j.WebhookURL != "" && (j.Status.Final() || s.opts.NonFinalCallbacks) {
		s.busy++ // until callBack has begun its posts
		s.background.do(s.calls, func() { s.callBack(after) })
	}
	if j.Status.Final() {
		s.end()
	}
	return after, true
}

// produce makes the job's output and puts it in its place.
func (s *Server) produce(j *Job) result {
	if s.opts.Instant {
		return result{}
	}
	made, err := s.render(j)
	if problem := (*workError)(nil); errors.As(err, &problem) {
		return failed(problem.kind, "%s", problem.message)
	} else if err != nil {
		return failed("internal_error", "%v", err)
	}
	return made
}

// workError is why a job fails through no fault of the fake.
type workError struct{ kind, message string }

func (e *workError) Error() string { return e.message }

func unworkable(kind, format string, args ...any) error {
	return &workError{kind, fmt.Sprintf(format, args...)}
}
