package schedules

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Process is something that runs once, beside the others.
type Process struct {
	Name string
	// Copies is how many of it there are, 0 being one. Which of them does what is
	// not told apart.
	Copies int
	// Inputs lists the inputs that the process can be started with as things
	// stand; each is a choice. Nil: it is started at the beginning, with "".
	Inputs func(View) []string
	// Last: the process is started when nothing else can happen any more. Such
	// processes start in their order, if their Inputs let them.
	Last bool
	// Run does the work. It must reach the outside by the client alone, whose
	// hosts name the stores (http://dynamodb.test), make the same calls whenever
	// it gets the same answers, and end soon once ctx does. A process that takes
	// place later begins with a sleep.
	Run func(ctx context.Context, client *http.Client, input string) error
}

var (
	errLost    = errors.New("schedules: the answer was lost")
	errCrashed = errors.New("schedules: the process has crashed")
)

// patience bounds how long a process may wait for time alone, by its own clock.
const patience = 2 * time.Hour

// event is what a process goes through: a call of its own is answered. Without
// an answer it is one that the process no longer waits for, and that has arrived
// or been dropped.
type event struct {
	call   int32 // see [interner]
	answer int32 // -1: none
}

// position is what a process is doing after some events.
type position struct {
	waiting   []Call // for answers
	abandoned []Call // sent, no longer waited for; they may yet arrive
	ended     bool
	err       error // of a process that ended
}

// port is the only way out of one run of a process.
type port struct {
	mu        sync.Mutex
	waiting   []*pendingCall
	abandoned []Call
	dead      bool
	changed   chan struct{} // has an element if a call came or the process ended
}

type pendingCall struct {
	Call
	answer chan Response
}

// RoundTrip registers the call and waits for the scheduler's answer.
func (p *port) RoundTrip(req *http.Request) (*http.Response, error) {
	call, err := newCall(req)
	if err != nil {
		return nil, err
	}
	c := &pendingCall{call, make(chan Response, 1)}
	if !p.add(c) {
		return nil, errCrashed
	}
	select {
	case r := <-c.answer:
		return r.http(req)
	case <-req.Context().Done():
		p.abandon(c)
		return nil, req.Context().Err()
	}
}

func (p *port) add(c *pendingCall) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead {
		p.waiting = append(p.waiting, c)
		p.signal()
	}
	return !p.dead
}

func (p *port) abandon(c *pendingCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, c); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		if !c.readOnly() {
			p.abandoned = append(p.abandoned, c.Call)
		}
	}
}

func (p *port) signal() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// kill lets no further call out.
func (p *port) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

// take gives an answer to a call, or removes one that was abandoned. It returns
// false if there is no such call.
func (p *port) take(call Call, answer *Response) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if answer == nil {
		i := slices.Index(p.abandoned, call)
		if i >= 0 {
			p.abandoned = slices.Delete(p.abandoned, i, i+1)
		}
		return i >= 0
	}
	i := slices.IndexFunc(p.waiting, func(c *pendingCall) bool { return c.Call == call })
	if i >= 0 {
		p.waiting[i].answer <- *answer
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	return i >= 0
}

// position returns what the process waits for, in an order that does not depend
// on its goroutines.
func (p *port) position(ended bool, err error) position {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := position{abandoned: slices.SortedFunc(slices.Values(p.abandoned), Call.compare), ended: ended, err: err}
	if !ended {
		for _, c := range p.waiting {
			at.waiting = append(at.waiting, c.Call)
		}
		slices.SortFunc(at.waiting, Call.compare)
	}
	return at
}

// replay runs a process through a history of events, and returns where it is
// then. The error is that it does not follow the history, or never goes on.
func replay(t *testing.T, process *Process, input string, history []answered) (at position, err error) {
	synctest.Test(t, func(*testing.T) {
		r := run{port: &port{changed: make(chan struct{}, 1)}}
		ctx, cancel := context.WithCancel(context.Background())
		go r.start(ctx, process, input)
		err = r.follow(history)
		at = r.port.position(r.isOver(), r.err)
		r.port.kill()
		cancel()
		// Whatever still runs ends now. Time stops with this goroutine, so it
		// stays for their last pauses.
		time.Sleep(patience)
	})
	return at, err
}

// answered is an event as a process sees it.
type answered struct {
	Call
	*Response
}

// run is one run of a process.
type run struct {
	port *port
	over bool // guarded by port.mu
	err  error
}

func (r *run) start(ctx context.Context, process *Process, input string) {
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = &Panic{p, debug.Stack()}
			}
		}()
		return process.Run(ctx, &http.Client{Transport: r.port}, input)
	}()
	r.port.mu.Lock()
	defer r.port.mu.Unlock()
	r.over, r.err = true, err
	r.port.signal()
}

// Panic is a process that panicked, which is always a violation.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("panic: %v\n%s", p.Value, p.Stack) }

func (r *run) isOver() bool {
	r.port.mu.Lock()
	defer r.port.mu.Unlock()
	return r.over
}

func (r *run) isStill() bool {
	r.port.mu.Lock()
	defer r.port.mu.Unlock()
	return r.over || len(r.port.waiting) > 0
}

func (r *run) follow(history []answered) error {
	if err := r.settle(); err != nil {
		return err
	}
	for i, e := range history {
		if !r.port.take(e.Call, e.Response) {
			return fmt.Errorf("the process is not deterministic: as event %d it once made the call %v, now it waits for %v", i+1, e.Call, r.port.position(r.isOver(), nil).waiting)
		}
		if err := r.settle(); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until the process waits for answers alone or has ended. Time goes
// on while it waits for time alone.
func (r *run) settle() error {
	stuck := time.NewTimer(patience)
	defer stuck.Stop()
	for synctest.Wait(); !r.isStill(); synctest.Wait() {
		select {
		case <-r.port.changed:
		case <-stuck.C:
			return fmt.Errorf("the process neither calls nor ends within %v", patience)
		}
	}
	return nil
}
