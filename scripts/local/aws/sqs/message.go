package sqs

import (
	"container/list"
	"crypto/rand"
	"time"

	"ittybit-media/scripts/local/clock"
)

// message is guarded by the lock of the queue that holds it.
type message struct {
	id, body        string
	attributes      map[string]string
	sentAt          time.Time // by the first send: survives the move to the dead letters
	firstReceivedAt time.Time
	receives        int
	source          string // ARN of the queue it was moved from

	state      state
	receivedAt time.Time     // the latest time, in this queue
	receipt    string        // of that time
	place      *list.Element // among the visible
	hidings    int           // so far
	wake       *clock.Timer  // ends the latest of them
	expiry     *clock.Timer
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

// receiptMark stands between a message's id and the rest of its receipt.
const receiptMark = "#"

// hide keeps a message, in a state other than visible, from being received for
// a time.
func (q *Queue) hide(m *message, as state, d time.Duration) {
	if m.wake != nil {
		m.wake.Stop()
	}
	m.state = as
	m.hidings++
	hiding := m.hidings
	m.wake = q.clock.AfterFunc(d, func() { q.awake(m, hiding) })
}

func (q *Queue) show(m *message) {
	m.state = visible
	m.place = q.visible.PushBack(m)
	q.changed.Broadcast()
}

// awake ends one of a message's hidings, unless it was hidden anew, shown or
// removed since.
func (q *Queue) awake(m *message, hiding int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.messages[m.id] != m || m.state == visible || m.hidings != hiding {
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

// receive takes up to most visible messages that fit one payload, and hides
// them for a time. What was received often enough goes to the dead letters
// instead: SQS moves a message when it would be received once more, not when
// its last try fails.
func (q *Queue) receive(most int, hide time.Duration) []delivery {
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
		m.receives++
		m.receivedAt = q.clock.Now()
		if m.firstReceivedAt.IsZero() {
			m.firstReceivedAt = m.receivedAt
		}
		m.receipt = m.id + receiptMark + rand.Text()
		q.hide(m, inFlight, hide)
		q.tell(Received, m)
		batch = append(batch, delivery{m, m.receipt})
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
