package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/internal/cli"
)

// way is how far the upload came.
type way struct {
	rows     []results.Row   // of the upload's jobs
	called   map[string]line // id of a job → what webhook logged when it stored the end
	refused  int             // callbacks that webhook did not take
	refusal  line            // the last of them
	problems []error         // why it is not as it should be
}

// problemf adds one. Texts in it may come from outside.
func (w *way) problemf(format string, args ...any) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = cli.OneLine(text)
		}
	}
	w.problems = append(w.problems, fmt.Errorf(format, args...))
}

// follow waits until the upload's jobs are over, and says what is wrong if they
// do not come to that, or not as they should.
func (s *smoke) follow(ctx context.Context) way {
	defer s.done(partUpload)
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var w way
	uploaded := time.Now()
	for {
		rows, err := s.rows(limited)
		switch {
		case limited.Err() != nil:
		case err != nil:
			w.problemf("%w", err)
			return w
		default:
			w.rows = rows
		}
		missing := s.missing(w.rows)
		if len(missing) == 0 && !slices.ContainsFunc(w.rows, isOpen) {
			s.judge(ctx, &w)
			return w
		}
		if len(missing) > 0 {
			lines, readable := s.aboutUpload(limited, "dispatch")
			if why := skipped(lines); why != "" && len(w.rows) == 0 {
				w.problemf("dispatch skipped the upload: %s", why)
				return w
			}
			trouble := lastTrouble(lines)
			if trouble != "" {
				s.note(trouble, "dispatch could not do it yet, the retry queue brings it back: %s", trouble)
			}
			if len(w.rows) == 0 && trouble == "" && readable && time.Since(uploaded) > s.pace.again {
				uploaded = time.Now()
				if on, err := s.eventBridgeOn(limited); err == nil && !on {
					w.problemf("%s", s.eventBridgeOff())
					return w
				}
				s.note(partUpload, "no event yet. After a change of the bucket's notifications that takes some five minutes; until then, uploads are not noticed: uploading again")
				if _, err := s.upload(limited); err != nil && limited.Err() == nil {
					w.problemf("%w", err)
					return w
				}
			}
		}
		s.waits(partUpload, "%s", s.doingFor(w.rows))
		if !s.pause(limited) {
			if ctx.Err() == nil {
				s.diagnose(ctx, &w)
			}
			return w
		}
	}
}

// rows are all rows of the key: nobody else has one under it.
func (s *smoke) rows(ctx context.Context) ([]results.Row, error) {
	var rows []results.Row
	for row, err := range s.table.RowsByKey(ctx, s.key) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	position := func(r results.Row) int {
		return slices.IndexFunc(s.route.Jobs, func(j media.Job) bool { return j.Name == r.Job })
	}
	slices.SortStableFunc(rows, func(a, b results.Row) int { return position(a) - position(b) })
	return rows, nil
}

func isOpen(r results.Row) bool { return r.Open != "" }

// missing are the jobs of the route that dispatch is not done with: it has
// neither noted them, which a callback may be faster than, nor rejected them or
// the whole upload.
func (s *smoke) missing(rows []results.Row) []string {
	var names []string
	for _, job := range s.route.Jobs {
		if !slices.ContainsFunc(rows, func(r results.Row) bool {
			return r.Job == job.Name && r.DispatchedAt != 0 || r.State == media.Rejected && (r.Job == job.Name || r.Job == "")
		}) {
			names = append(names, job.Name)
		}
	}
	return names
}

func (s *smoke) doingFor(rows []results.Row) string {
	if len(rows) == 0 {
		return "waiting for dispatch to see it"
	}
	states := make([]string, len(rows))
	for i, r := range rows {
		states[i] = r.Job + " " + r.State
	}
	for _, name := range s.missing(rows) {
		states = append(states, name+" …")
	}
	return "waiting for Ittybit: " + strings.Join(states, ", ")
}

// skipped is why dispatch does not take the upload; "" if it has made a job:
// then only the event's repetition was skipped.
func skipped(lines []line) (reason string) {
	for _, l := range lines {
		if l.ID != "" {
			return ""
		}
		if !l.trouble() {
			reason = l.Reason
		}
	}
	return reason
}

// lastTrouble is the error of the last line that has one.
func lastTrouble(lines []line) string {
	for _, l := range slices.Backward(lines) {
		if l.trouble() && l.Error != "" {
			return l.Error
		}
	}
	return ""
}

// judge says what is wrong with jobs that are over.
func (s *smoke) judge(ctx context.Context, w *way) {
	s.readCallbacks(ctx, w)
	for _, r := range w.rows {
		switch {
		case r.State == media.Rejected && r.Job == "":
			w.problemf("the upload was rejected: %s", r.Error)
		case r.State == media.Rejected:
			w.problemf("job %s was rejected: %s", r.Job, r.Error)
		case !s.calledBack(*w, r):
			w.problemf("job %s was not called back: sweep ended it. Is webhook_url not honoured? %s", r.Job, s.refusals(*w))
		case r.State != media.Succeeded.String():
			w.problemf("job %s %s: %s", r.Job, r.State, r.Error)
		}
	}
}

// readCallbacks finds out what webhook logged of the upload.
func (s *smoke) readCallbacks(ctx context.Context, w *way) {
	w.called = map[string]line{}
	lines, _ := s.aboutUpload(ctx, "webhook")
	for _, l := range lines {
		if l.State != "" {
			w.called[l.ID] = l
		}
	}
	w.refused, w.refusal = 0, line{}
	s.eachLine(ctx, "webhook", "message", "callback refused", func(l line) { w.refused, w.refusal = w.refused+1, l })
}

// calledBack reports whether a job's end came by callback: webhook says so, or
// it came before sweep could have asked for it, or even before dispatch.
func (s *smoke) calledBack(w way, r results.Row) bool {
	if _, logged := w.called[r.JobID()]; logged {
		return true
	}
	overdue, err := time.ParseDuration(s.out.Settings.OverdueAfter)
	return r.DispatchedAt == 0 || err == nil && r.UpdatedAt.Time().Sub(r.DispatchedAt.Time()) < overdue
}

// refusals tell of the callbacks that webhook refused since the run began,
// whosoever they were.
func (s *smoke) refusals(w way) string {
	if w.refused == 0 {
		return "Webhook has refused no callback meanwhile"
	}
	return fmt.Sprintf("Webhook has refused %s meanwhile, the last one because: %s", cli.Count(w.refused, "callback"), w.refusal.Error)
}

// diagnose says where the upload is stuck.
func (s *smoke) diagnose(ctx context.Context, w *way) {
	missing := s.missing(w.rows)
	if len(missing) > 0 {
		lines, _ := s.aboutUpload(ctx, "dispatch")
		trouble := lastTrouble(lines)
		switch {
		case trouble != "":
			w.problemf("after %v it waits for another try%s: %s", s.timeout, s.deep(ctx), trouble)
		case len(w.rows) == 0:
			w.problemf("after %v no event has reached dispatch%s: %s", s.timeout, s.deep(ctx), s.noEvent(ctx))
		default:
			w.problemf("after %v dispatch is not done with %s, and its log does not say why", s.timeout, strings.Join(missing, ", "))
		}
	}
	if !slices.ContainsFunc(w.rows, isOpen) {
		return
	}
	s.readCallbacks(ctx, w)
	for _, r := range w.rows {
		if isOpen(r) {
			w.problemf("job %s: %s", r.Job, s.stuck(ctx, *w, r))
		}
	}
}

// stuck says why a job is not over.
func (s *smoke) stuck(ctx context.Context, w way, r results.Row) string {
	if s.ittybit == nil {
		return fmt.Sprintf("no callback after %v, and Ittybit cannot be asked from here. %s", s.timeout, s.refusals(w))
	}
	job, err := s.ittybit.Get(ctx, r.JobID())
	switch {
	case err != nil:
		return fmt.Sprintf("no callback after %v, and Ittybit does not tell: %v", s.timeout, err)
	case job.State.Final():
		return fmt.Sprintf("Ittybit says that it has %s, but it has not called back in %v. Is webhook_url not honoured? %s. Sweep ends the job when it is overdue, after %s",
			job.State, s.timeout, s.refusals(w), s.out.Settings.OverdueAfter)
	}
	return fmt.Sprintf("Ittybit is still at work on it (%s) after %v: -timeout waits longer", job.Status, s.timeout)
}

// noEvent says where to look when dispatch saw nothing.
func (s *smoke) noEvent(ctx context.Context) string {
	on, err := s.eventBridgeOn(ctx)
	switch {
	case err != nil:
		return fmt.Sprintf("whether EventBridge is on for the bucket cannot be seen: %v", err)
	case !on:
		return s.eventBridgeOff()
	}
	return fmt.Sprintf("EventBridge is on for the bucket. If that is minutes old, try again; else look whether the rule %s is enabled and invokes %s", s.out.Rule, s.out.Functions["dispatch"])
}

func (s *smoke) eventBridgeOn(ctx context.Context) (bool, error) {
	c, err := s.s3.GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &s.out.Bucket})
	if err != nil {
		return false, err
	}
	return c.EventBridgeConfiguration != nil, nil
}

func (s *smoke) eventBridgeOff() string {
	return fmt.Sprintf("EventBridge is off for the bucket %s: %s turns it on and keeps the rest; where the stack manages the notifications, pulumi up --refresh does", s.out.Bucket, s.call.Command("preflight", "-enable-eventbridge"))
}

// deep tells how many messages are in the retry queue; nothing if that cannot
// be seen.
func (s *smoke) deep(ctx context.Context) string {
	n, err := s.depth(ctx)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (the retry queue has %s)", cli.Count(n, "message"))
}
