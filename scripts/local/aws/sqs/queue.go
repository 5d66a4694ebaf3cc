// Package sqs is an emulator of SQS: standard queues as Lambda's event source
// mapping uses them, in memory and on a [clock.Clock], so that days of retries
// pass in seconds.
package sqs

import (
	"cmp"
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	smithyrand "github.com/aws/smithy-go/rand"

	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/quiet"
)

// Limits of a queue and its messages (Amazon SQS Developer Guide, "Amazon SQS
// message quotas").
const (
	MaxMessageBytes = 1 << 20
	maxDelay        = 15 * time.Minute
	maxVisibility   = 12 * time.Hour
	minRetention    = time.Minute
	maxRetention    = 14 * 24 * time.Hour
)

// Config describes a queue.
type Config struct {
	Name, ARN string
	// Delay is how long a new message stays hidden: at most 15 minutes.
	Delay time.Duration
	// Visibility is how long a received message stays hidden: at most 12 hours;
	// zero is SQS's default, 30 seconds.
	Visibility time.Duration
	// Retention is how long a message is kept, from its first send, also across
	// the move to DeadLetter: 1 minute to 14 days; zero is SQS's default, 4
	// days.
	Retention time.Duration
	// MaxReceives is how often a message is received before it goes to
	// DeadLetter instead. Both or neither must be said.
	MaxReceives int
	DeadLetter  *Queue
	// Observe, if not nil, is told of everything that happens, in order. It is
	// called with the queue locked: it must be quick and not call the queue.
	Observe func(Event)
}

// Queue is a standard queue. Its methods may be called by any goroutine.
type Queue struct {
	cfg   Config
	clock *clock.Clock

	mu        sync.Mutex
	changed   *quiet.Cond // something became visible, or an invocation ended
	messages  map[string]*message
	visible   *list.List // of *message, first to become visible in front
	delayed   int
	consumers int
	running   int // batches being handled
}

// New makes a queue. The error names every setting that SQS would refuse.
func New(c *clock.Clock, cfg Config) (*Queue, error) {
	cfg.Visibility = cmp.Or(cfg.Visibility, 30*time.Second)
	cfg.Retention = cmp.Or(cfg.Retention, 4*24*time.Hour)
	var wrong []error
	within := func(what string, d, least, most time.Duration) {
		if d < least || d > most {
			wrong = append(wrong, fmt.Errorf("%s: %v is not within %v and %v", what, d, least, most))
		}
	}
	within("Delay", cfg.Delay, 0, maxDelay)
	within("Visibility", cfg.Visibility, 0, maxVisibility)
	within("Retention", cfg.Retention, minRetention, maxRetention)
	if cfg.MaxReceives < 0 || (cfg.MaxReceives > 0) != (cfg.DeadLetter != nil) {
		wrong = append(wrong, errors.New("MaxReceives and DeadLetter: say both or neither"))
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("sqs: queue %s: %w", cfg.Name, errors.Join(wrong...))
	}
	q := &Queue{cfg: cfg, clock: c, messages: map[string]*message{}, visible: list.New()}
	q.changed = quiet.NewCond(&q.mu)
	return q, nil
}

// URL is the queue's address below that of the endpoint, with the account of
// its ARN, as every operation names a queue.
func (q *Queue) URL(endpoint string) string {
	parts := strings.Split(q.cfg.ARN, ":")
	return endpoint + "/" + parts[max(len(parts)-2, 0)] + "/" + q.cfg.Name
}

// Send puts a message with string attributes into the queue and returns its id.
// A body that is empty or over [MaxMessageBytes] is an error.
func (q *Queue) Send(body string, attributes map[string]string) (string, error) {
	if len(body) == 0 || len(body) > MaxMessageBytes {
		return "", fmt.Errorf("sqs: queue %s: a body of %d bytes; SQS takes 1 to %d", q.cfg.Name, len(body), MaxMessageBytes)
	}
	id, _ := smithyrand.NewUUID(rand.Reader).GetUUID() // crypto/rand never fails
	q.mu.Lock()
	defer q.mu.Unlock()
	m := &message{id: id, body: body, attributes: maps.Clone(attributes), sentAt: q.clock.Now()}
	q.keep(m)
	q.tell(Sent, m)
	if q.cfg.Delay > 0 {
		q.delayed++
		q.hide(m, delayed, q.cfg.Delay)
	} else {
		q.show(m)
	}
	return id, nil
}

// Depth counts a queue's messages, as its CloudWatch metrics do: what failed
// counts as in flight until its visibility timeout is over.
type Depth struct{ Visible, InFlight, Delayed int }

// Depth returns how many messages the queue holds.
func (q *Queue) Depth() Depth {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Depth{
		Visible:  q.visible.Len(),
		InFlight: len(q.messages) - q.visible.Len() - q.delayed,
		Delayed:  q.delayed,
	}
}

// Message is a snapshot of a message, for reports.
type Message struct {
	ID, Body   string
	Attributes map[string]string // shared with the queue: not to be changed
	SentAt     time.Time
	Receives   int
}

// Messages returns what the queue holds, in whatever state, the first sent in
// front.
func (q *Queue) Messages() []Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]Message, 0, len(q.messages))
	for _, m := range q.messages {
		all = append(all, Message{m.id, m.body, m.attributes, m.sentAt, m.receives})
	}
	slices.SortFunc(all, func(a, b Message) int {
		return cmp.Or(a.SentAt.Compare(b.SentAt), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// Idle waits until nothing can happen before the clock moves on: no batch is
// being handled, and no message is visible to a consumer. It returns ctx's
// cause when ctx ends first.
func (q *Queue) Idle(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.changed.Until(ctx, func() bool {
		return q.running == 0 && (q.consumers == 0 || q.visible.Len() == 0)
	})
}
