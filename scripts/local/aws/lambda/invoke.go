package lambda

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	smithyrand "github.com/aws/smithy-go/rand"
)

// Payload limits in bytes (AWS Lambda Developer Guide, "Lambda quotas"): of a
// synchronous invocation and its answer, and of an asynchronous invocation.
const (
	MaxPayload      = 6 << 20
	MaxAsyncPayload = 1 << 20
)

// maxQueuedBytes bounds the asynchronous queue: it lives in memory here.
const maxQueuedBytes = 64 << 20

// What an event may be refused for.
var (
	ErrTooLarge = errors.New("the payload is too large")
	ErrNotJSON  = errors.New("the payload is not JSON")
	// ErrQueueFull says that an asynchronous event was not taken: as Lambda's
	// throttling, it asks the caller to try again later.
	ErrQueueFull = errors.New("the asynchronous queue is full")
)

// Result is what an invocation came to.
type Result struct {
	RequestID     string
	Payload       []byte // the function's answer, or the error as JSON
	FunctionError string // empty if the function succeeded
}

// invocation is one event on its way through a process.
type invocation struct {
	id, arn  string
	payload  []byte
	async    bool
	deadline time.Time   // as the function is told it
	answers  chan Result // takes one, by [process.answer]
}

func (f *Function) newInvocation(payload []byte, async bool) *invocation {
	id, _ := smithyrand.NewUUID(rand.Reader).GetUUID() // crypto/rand never fails
	return &invocation{id: id, arn: f.cfg.ARN, payload: payload, async: async, answers: make(chan Result, 1)}
}

// Invoke runs the function and waits for its answer; while MaxConcurrency
// processes are busy, it waits for one of them. What goes wrong in the function
// is in the result. An error means that there is none: [ErrNotJSON],
// [ErrTooLarge] over [MaxPayload], [ErrClosed], or the end of ctx: then an
// invocation that has begun goes on without its caller. The payload must not be
// changed afterwards.
func (f *Function) Invoke(ctx context.Context, payload []byte) (Result, error) {
	if err := checkPayload(payload, MaxPayload); err != nil {
		return Result{}, f.wrap(err)
	}
	if !f.begin() {
		return Result{}, f.wrap(ErrClosed)
	}
	if err := f.acquire(ctx); err != nil {
		f.work.Done()
		return Result{}, f.wrap(err)
	}
	answer := make(chan Result, 1)
	go func() {
		defer f.work.Done()
		defer f.slots.Release(1)
		f.serve(f.newInvocation(payload, false), func(r Result) { answer <- r })
	}()
	select {
	case r := <-answer:
		if r.FunctionError != "" && f.ctx.Err() != nil { // cut off by Close
			return Result{}, f.wrap(ErrClosed)
		}
		return r, nil
	case <-ctx.Done():
		return Result{}, f.wrap(context.Cause(ctx))
	}
}

// InvokeAsync queues an event and returns its request id. Events start in the
// order they came. An event is tried once; if that fails, OnFailure gets it.
// The error is [ErrNotJSON], [ErrTooLarge] over [MaxAsyncPayload], [ErrClosed]
// or [ErrQueueFull]. The payload must not be changed afterwards.
func (f *Function) InvokeAsync(payload []byte) (requestID string, err error) {
	if err := checkPayload(payload, MaxAsyncPayload); err != nil {
		return "", f.wrap(err)
	}
	inv := f.newInvocation(payload, true)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return "", f.wrap(ErrClosed)
	case f.queuedBytes+len(payload) > maxQueuedBytes:
		return "", f.wrap(ErrQueueFull)
	}
	f.queue = append(f.queue, inv)
	f.queuedBytes += len(payload)
	f.unfinished++
	f.changed.Broadcast()
	return inv.id, nil
}

// Idle waits until no asynchronous event is queued or running; its failure has
// then been delivered. It returns [ErrClosed] or ctx's cause if that comes
// first.
func (f *Function) Idle(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.changed.Until(ctx, func() bool { return f.unfinished == 0 || f.closed })
	switch {
	case err != nil:
		return f.wrap(err)
	case f.unfinished > 0:
		return f.wrap(ErrClosed)
	}
	return nil
}

// dispatch starts queued events, one after the other, as slots become free.
func (f *Function) dispatch() {
	for f.awaitEvent() && f.slots.Acquire(f.ctx, 1) == nil {
		inv := f.dequeue()
		if inv == nil { // closed meanwhile
			f.slots.Release(1)
			return
		}
		f.work.Go(func() {
			defer f.finished()
			defer f.slots.Release(1)
			f.serve(inv, func(r Result) { f.report(inv, r) })
		})
	}
}

// awaitEvent waits until there is an event; it reports false once closed.
func (f *Function) awaitEvent() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.queue) == 0 && !f.closed {
		f.changed.Wait()
	}
	return !f.closed
}

func (f *Function) dequeue() *invocation {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return nil
	}
	inv := f.queue[0]
	f.queue[0] = nil // or the array behind the queue would keep it
	f.queue = f.queue[1:]
	f.queuedBytes -= len(inv.payload)
	return inv
}

func (f *Function) finished() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unfinished--
	f.changed.Broadcast()
}

// report gives a failed asynchronous invocation to its destination.
func (f *Function) report(inv *invocation, r Result) {
	if r.FunctionError != "" && f.cfg.OnFailure != nil && f.ctx.Err() == nil {
		f.cfg.OnFailure(envelope(f.cfg.ARN, f.cfg.Now(), inv.payload, r))
	}
}

// serve runs an invocation in a process and delivers its result once. It
// returns when the process is free again or gone, which can be later. The
// caller holds a slot.
func (f *Function) serve(inv *invocation, deliver func(Result)) {
	begun := time.Now()
	done := func(r Result) {
		f.count(func(s *Stats) {
			s.Invocations++
			if r.FunctionError != "" {
				s.Failures++
			}
		})
		deliver(r)
		f.observe(Event{Kind: InvocationEnded, RequestID: inv.id, Async: inv.async, Duration: time.Since(begun), Failure: errorType(r), Request: inv.payload, Response: r.Payload})
	}
	for {
		p := f.takeWarm()
		if p == nil {
			var err error
			if p, err = f.startProcess(f.ctx); err != nil {
				done(initFailure(inv.id, err))
				return
			}
		}
		if f.run(p, inv, done) {
			return
		}
	}
}

// run hands an invocation to a process. It reports false, and delivers nothing,
// if the process was gone before it could take it.
func (f *Function) run(p *process, inv *invocation, deliver func(Result)) bool {
	inv.deadline = f.cfg.Now().Add(f.cfg.Timeout)
	timer := time.NewTimer(f.cfg.Timeout)
	defer timer.Stop()
	timedOut := func() {
		p.kill()
		<-p.exited
	}

	p.assign(inv)
	select {
	case p.events <- inv:
	case <-p.exited:
		return false
	case <-timer.C: // it asked, but does not listen
		timedOut()
		deliver(timeout(inv.id, f.cfg.Timeout))
		return true
	}

	select {
	case r := <-inv.answers:
		deliver(r)
	case <-p.exited:
		select {
		case r := <-inv.answers: // its last words
			deliver(r)
		default:
			deliver(exited(inv.id, p.end))
		}
		return true
	case <-timer.C:
		timedOut()
		deliver(timeout(inv.id, f.cfg.Timeout))
		return true
	}

	// An invocation is over when its process asks for the next one.
	select {
	case <-p.asked:
		f.keepWarm(p)
	case <-p.exited:
	case <-timer.C:
		timedOut()
	}
	return true
}

func checkPayload(payload []byte, limit int) error {
	if len(payload) > limit {
		return fmt.Errorf("%w: %d bytes; Lambda takes at most %d", ErrTooLarge, len(payload), limit)
	}
	if !json.Valid(payload) {
		return ErrNotJSON
	}
	return nil
}
