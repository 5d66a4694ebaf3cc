package sqs

import "time"

// Kind is what happened to a message.
type Kind string

// What can happen to a message.
const (
	Sent         Kind = "sent"
	Received     Kind = "received"
	Deleted      Kind = "deleted"
	DeadLettered Kind = "dead-lettered" // told by the queue that it leaves
	Expired      Kind = "expired"
)

// Event tells that something happened to a message.
type Event struct {
	Kind      Kind
	Queue     string // name
	MessageID string
	Body      string
	Receives  int // so far
	At        time.Time
}

func (q *Queue) tell(kind Kind, m *message) {
	if q.cfg.Observe != nil {
		q.cfg.Observe(Event{kind, q.cfg.Name, m.id, m.body, m.receives, q.clock.Now()})
	}
}
