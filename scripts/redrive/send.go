package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

// show prints what is there.
func (r *redrive) show(ctx context.Context) error {
	g, err := r.look(ctx, r.wanted())
	if err == nil && !r.JSON {
		r.hint(g)
	}
	return err
}

// wanted reports whether a dead letter is one of those that the command is
// about.
func (r *redrive) wanted() func(letter) bool {
	now := r.Now()
	return func(l letter) bool { return r.takes(l, now) && (!r.delete || l.err != nil) }
}

// sendBack hands the uploads to dispatch, after it has shown and asked.
func (r *redrive) sendBack(ctx context.Context) error {
	most := r.limit
	if r.DryRun || r.Asks() {
		g, err := r.look(ctx, r.wanted())
		if err != nil {
			return err
		}
		if r.DryRun {
			r.Note("%s would be sent back to dispatch", cli.Count(g.readable, "upload"))
		}
		if r.DryRun || g.readable == 0 {
			return unreadable(g.all - g.readable)
		}
		if err := r.Confirm(ctx, fmt.Sprintf("Ittybit charges for the jobs that are made. Send %s back to dispatch?", cli.Count(g.readable, "upload"))); err != nil {
			return err
		}
		most = g.readable // no more than was agreed to
	}
	s := &sender{redrive: r, wanted: r.wanted(), dispatcher: r.stack.Dispatcher(r.rate), quota: quota{most: most}, stay: newGroups(0)}
	depth, err := r.stack.QueueDepth(ctx, r.url)
	if err != nil {
		return err
	}
	seconds := float64(cmp.Or(int64(most), depth.All())) / r.rate
	pace := time.Duration(min(seconds, mostHidden.Seconds()) * float64(time.Second))
	err = r.visit(lookTime+pace, s.letter).run(ctx, s.isFull)
	r.Note("%s handed to dispatch: what it fails at again goes to the retry queue", cli.Count(s.sent, "upload"))
	for _, one := range s.stay.sorted() {
		r.Note("%s: %s", cli.Count(one.Count, "dead letter"), cli.Printable(one.Reason))
	}
	if err != nil {
		return err
	}
	return unreadable(s.stay.all)
}

func unreadable(n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%s left that nobody can read", cli.Count(n, "dead letter"))
}

// sender hands dead letters to dispatch.
type sender struct {
	*redrive
	wanted     func(letter) bool
	dispatcher operator.Dispatcher
	quota
	stay *groups // cannot be read

	mu   sync.Mutex
	sent int
}

// letter sends one dead letter. It is deleted only after dispatch has it: when
// that fails, or nobody lives to do it, the upload is sent once more the next
// time, of which dispatch makes nothing.
func (s *sender) letter(ctx context.Context, l letter) (deleted bool, err error) {
	if !s.wanted(l) {
		return false, nil
	}
	if l.err != nil {
		s.stay.add(l)
		return false, nil
	}
	if !s.take() {
		return false, nil
	}
	if err := s.dispatcher.Turn(ctx); errors.Is(err, operator.ErrNoTurn) {
		return false, errLate
	} else if err != nil {
		return false, err
	}
	ctx, cancel := cli.Finish(ctx)
	defer cancel()
	if err := s.dispatcher.Ask(ctx, event.Redrive, l.request); err != nil {
		return false, err
	}
	if err := s.remove(ctx, l); err != nil {
		return false, fmt.Errorf("%s was handed to dispatch: %w", cli.Printable(l.request.Upload.Key), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	if s.JSON {
		err = s.PrintJSON(sent{l.request.Upload.Bucket, l.request.Upload.Key, l.request.Attempt, l.request.Jobs})
	}
	return true, err
}

// sent is an upload that was sent back, as -json prints it.
type sent struct {
	Bucket  string   `json:"bucket"`
	Key     string   `json:"pk"`
	Attempt int      `json:"attempt"`
	Jobs    []string `json:"jobs,omitempty"` // none: all of its route's
}

// deleteUnreadable deletes what nobody can read, after it has shown and asked.
func (r *redrive) deleteUnreadable(ctx context.Context) error {
	wanted := r.wanted()
	g := newGroups(r.limit)
	if r.DryRun || r.Asks() {
		seen, err := r.look(ctx, wanted)
		if err != nil || r.DryRun || seen.all == 0 {
			return err
		}
		if err := r.Confirm(ctx, fmt.Sprintf("Delete %s for good?", cli.Count(seen.all, "dead letter"))); err != nil {
			return err
		}
		g.most = seen.all // no more than was agreed to
	}
	deleted := 0
	err := r.visit(lookTime, func(ctx context.Context, l letter) (bool, error) {
		if !wanted(l) || !g.add(l) {
			return false, nil
		}
		ctx, cancel := cli.Finish(ctx)
		defer cancel()
		if err := r.remove(ctx, l); err != nil {
			return false, err
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		deleted++
		return true, nil
	}).run(ctx, g.isFull)
	r.Say("%s deleted", cli.Count(deleted, "dead letter"))
	return err
}
