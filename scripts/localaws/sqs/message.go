package sqs

import (
	"container/list"
	"crypto/rand"
	"time"

	"ittybit-media/scripts/localaws/clock"
)

// message is guarded by the lock of the queue that holds it.
type message struct {
	id, body        string
	attributes      map[string]string
	sentAt          time.Time // by the first send: survives the move to the dead letters
	firstReceivedAt time.Time
	receives        int
	source          string // ARN of the queue it was moved from

	state   state
	receipt string        // of the latest receive, in this queue
	place   *list.Element // among the visible
	wake    *clock.Timer  // ends the delay, or the time in flight
	expiry  *clock.Timer
}

// delivery is a message as it was received once.
type delivery struct {
	m       *message
	receipt string
}

type state int

const (
	visible state = iota
	inFlight
	delayed
)

// keep takes a message into the queue until it expires. The caller holds the
// lock, as for all that follows but awake and expire.
func (q *Queue) keep(m *message) {
	q.messages[m.id] = m
	age := q.clock.Now().Sub(m.sentAt)
	m.expiry = q.clock.AfterFunc(q.cfg.Retention-age, func() { q.expire(m) })
}

func (q *Queue) show(m *message) {
	m.state = visible
	m.place = q.visible.PushBack(m)
	q.changed.Broadcast()
}

// awake ends a message's hiding, unless it was received or removed since; the
// receipt is the one it was hidden under, empty for a delayed message.
func (q *Queue) awake(m *message, receipt string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.messages[m.id] != m || m.state == visible || m.receipt != receipt {
		return
	}
	if m.state == delayed {
		q.delayed--
	}
	q.show(m)
}

func (q *Queue) expire(m *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.messages[m.id] == m {
		q.remove(m)
		q.tell(Expired, m)
	}
}

// remove takes a message out of the queue, in whatever state it is.
func (q *Queue) remove(m *message) {
	delete(q.messages, m.id)
	m.expiry.Stop()
	if m.wake != nil {
		m.wake.Stop()
	}
	switch m.state {
	case visible:
		q.visible.Remove(m.place)
		q.changed.Broadcast() // Idle may have waited for this one
	case delayed:
		q.delayed--
	}
}

// receive takes up to most visible messages that fit one payload. What was
// received often enough goes to the dead letters instead: SQS moves a message
// when it would be received once more, not when its last try fails.
func (q *Queue) receive(most int) []delivery {
	var batch []delivery
	for room := maxBatchBytes; q.visible.Len() > 0 && len(batch) < most; {
		m := q.visible.Front().Value.(*message)
		if q.cfg.MaxReceives > 0 && m.receives >= q.cfg.MaxReceives {
			q.bury(m)
			continue
		}
		room -= encodedBytes(m)
		if room < 0 && len(batch) > 0 {
			break
		}
		q.visible.Remove(m.place)
		m.state = inFlight
		m.receives++
		if m.firstReceivedAt.IsZero() {
			m.firstReceivedAt = q.clock.Now()
		}
		receipt := rand.Text()
		m.receipt = receipt
		m.wake = q.clock.AfterFunc(q.cfg.Visibility, func() { q.awake(m, receipt) })
		q.tell(Received, m)
		batch = append(batch, delivery{m, receipt})
	}
	return batch
}

// bury moves a message to the dead letters. There its age goes on counting from
// the first send (Amazon SQS Developer Guide, "Using dead-letter queues").
func (q *Queue) bury(m *message) {
	q.remove(m)
	q.tell(DeadLettered, m)
	dead := &message{
		id: m.id, body: m.body, attributes: m.attributes,
		sentAt: m.sentAt, firstReceivedAt: m.firstReceivedAt, receives: m.receives,
		source: q.cfg.ARN,
	}
	// The dead letters were made before this queue, so locks are always taken
	// in one order.
	q.cfg.DeadLetter.mu.Lock()
	defer q.cfg.DeadLetter.mu.Unlock()
	q.cfg.DeadLetter.keep(dead)
	q.cfg.DeadLetter.show(dead)
}

// delete removes a message that was handled, unless it has been received again
// since: then only that receipt counts.
func (q *Queue) delete(d delivery) {
	if q.messages[d.m.id] == d.m && d.m.receipt == d.receipt {
		q.remove(d.m)
		q.tell(Deleted, d.m)
	}
}
