package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
)

// group is the dead letters of one reason.
type group struct {
	Reason   string    `json:"reason"`
	Count    int       `json:"count"`
	Readable bool      `json:"readable"`
	Oldest   time.Time `json:"oldest"` // by the first failure
	Newest   time.Time `json:"newest"`
	Deleted  time.Time `json:"deleted_at"` // when SQS deletes the oldest
	Bucket   string    `json:"bucket,omitempty"`
	Key      string    `json:"key,omitempty"` // the oldest's
}

// mostGroups bounds how many reasons are told apart.
const (
	mostGroups   = 100
	otherReasons = "other reasons"
)

// quota is how many dead letters are wanted. Its methods may be called by any
// goroutine.
type quota struct {
	most  int // 0: all
	mutex sync.Mutex
	taken int
}

// take takes one; false when there are as many as are wanted.
func (q *quota) take() bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.most > 0 && q.taken >= q.most {
		return false
	}
	q.taken++
	return true
}

func (q *quota) isFull() bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.most > 0 && q.taken >= q.most
}

// groups counts dead letters by reason. Of the letters themselves it keeps no
// more than a key for each reason. Its methods may be called by any goroutine.
type groups struct {
	quota

	mu            sync.Mutex
	byReason      map[string]*group
	all, readable int
}

func newGroups(most int) *groups {
	return &groups{quota: quota{most: most}, byReason: map[string]*group{}}
}

// add counts a letter, unless there are as many as are wanted.
func (g *groups) add(l letter) (added bool) {
	if !g.take() {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all++
	if l.err == nil {
		g.readable++
	}
	reason := l.reason
	if g.byReason[reason] == nil && len(g.byReason) >= mostGroups {
		reason = otherReasons
	}
	one := g.byReason[reason]
	if one == nil {
		one = &group{Reason: reason, Readable: l.err == nil}
		g.byReason[reason] = one
	}
	one.Count++
	if one.Oldest.IsZero() || l.sent.Before(one.Oldest) {
		one.Oldest, one.Deleted = l.sent, l.sent.Add(media.RetryRetention)
		one.Bucket, one.Key = l.request.Upload.Bucket, l.request.Upload.Key
	}
	if l.sent.After(one.Newest) {
		one.Newest = l.sent
	}
	return true
}

// sorted has the largest group in front.
func (g *groups) sorted() []*group {
	return slices.SortedFunc(maps.Values(g.byReason), func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
}

// look counts the dead letters that are wanted, and prints them by reason.
func (r *redrive) look(ctx context.Context, wanted func(letter) bool) (*groups, error) {
	g := newGroups(r.limit)
	err := r.visit(lookTime, func(_ context.Context, l letter) (deleted bool, err error) {
		if wanted(l) {
			g.add(l)
		}
		return false, nil
	}).run(ctx, g.isFull)
	if g.all > 0 || err == nil { // what was seen is worth showing
		r.print(g, r.Now())
	}
	return g, err
}

func (r *redrive) print(g *groups, now time.Time) {
	all := g.sorted()
	if r.JSON {
		for _, one := range all {
			_ = r.PrintJSON(one)
		}
		return
	}
	if len(all) == 0 {
		fmt.Fprintln(r.Out, "There are no such dead letters.")
		return
	}
	fmt.Fprintf(r.Out, "%s\n\n", cli.Count(g.all, "dead letter"))
	t := cli.NewTable(r.Out, "COUNT", "FAILED FIRST", "LATEST", "DELETED IN", "EXAMPLE", "REASON")
	for _, one := range all {
		t.Row(strconv.Itoa(one.Count), cli.Roughly(now.Sub(one.Oldest))+" ago", cli.Roughly(now.Sub(one.Newest))+" ago",
			cli.Roughly(one.Deleted.Sub(now)), one.Key, one.Reason)
	}
	_ = t.Flush()
}

// hint says what can be done about what was seen.
func (r *redrive) hint(g *groups) {
	if g.readable > 0 {
		r.Say("\nOnce the reason is mended, this sends them back to dispatch:\n  %s", r.Command("redrive", "-send"))
	}
	if g.all > g.readable {
		r.Say("\nThis deletes those that cannot be read:\n  %s", r.Command("redrive", "-delete-unreadable"))
	}
}
