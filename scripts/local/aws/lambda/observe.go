package lambda

import "time"

// Kind is what happened to a function.
type Kind string

// What can happen.
const (
	ProcessStarted  Kind = "process started"  // it asked for its first event; Duration is the init
	ProcessExited   Kind = "process exited"   // Failure says how
	InvocationEnded Kind = "invocation ended" // Duration has the wait for an init in it
)

// Event tells that something happened to a function.
type Event struct {
	Kind      Kind
	Function  string // name
	PID       int    // of the process, where the event is about one
	RequestID string // of the invocation, where the event is about one
	Async     bool
	Duration  time.Duration
	Failure   string // of an invocation: the error's type; empty for a success
	Request   []byte // of an invocation that ended; not to be changed
	Response  []byte // what it came to, or the error as JSON; not to be changed
}

func (f *Function) observe(e Event) {
	if f.cfg.Observe != nil {
		e.Function = f.cfg.Name
		f.cfg.Observe(e)
	}
}
