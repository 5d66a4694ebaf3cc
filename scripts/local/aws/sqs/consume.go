package sqs

import (
	"context"
	"errors"
	"sync"
)

// Mapping is an event source mapping: it hands a queue's messages to a
// function.
type Mapping struct {
	BatchSize      int // at most this many messages per invocation
	MaxConcurrency int // at most this many invocations at a time
	// Invoke runs the function. An error means that it failed, with the whole
	// batch; else the answer says which messages failed, as the mapping is
	// configured to report batch item failures.
	Invoke func(ctx context.Context, payload []byte) ([]byte, error)
}

// Consume hands messages to the mapping's function, in the background, until
// ctx ends; invocations get ctx. The channel is closed once the last of them
// has returned. Messages that were handled are deleted; those that failed
// become visible again after the visibility timeout that began when they were
// received.
func (q *Queue) Consume(ctx context.Context, m Mapping) (<-chan struct{}, error) {
	if m.BatchSize < 1 || m.MaxConcurrency < 1 || m.Invoke == nil {
		return nil, errors.New("sqs: queue " + q.cfg.Name + ": a mapping needs BatchSize and MaxConcurrency of 1 or more, and Invoke")
	}
	q.mu.Lock()
	q.consumers++
	q.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		q.consume(ctx, m)
	}()
	return done, nil
}

func (q *Queue) consume(ctx context.Context, m Mapping) {
	var invocations sync.WaitGroup
	defer invocations.Wait()

	q.mu.Lock()
	defer q.mu.Unlock()
	active := 0
	for {
		ready := func() bool { return active < m.MaxConcurrency && q.visible.Len() > 0 }
		if q.changed.Until(ctx, ready) != nil {
			q.consumers--
			q.changed.Broadcast()
			return
		}
		batch := q.receive(m.BatchSize, q.cfg.Visibility)
		if len(batch) == 0 { // all went to the dead letters
			continue
		}
		payload, err := q.payload(batch)
		active++
		q.running++
		invocations.Go(func() {
			var answer []byte
			if err == nil {
				answer, err = m.Invoke(ctx, payload)
			}
			q.mu.Lock()
			defer q.mu.Unlock()
			active--
			q.running--
			q.changed.Broadcast()
			q.settle(batch, answer, err)
		})
	}
}

// settle deletes what an invocation handled: nothing if it failed or if its
// answer names a message that was not in the batch.
func (q *Queue) settle(batch []delivery, answer []byte, err error) {
	if err != nil {
		return
	}
	failed, err := failures(answer)
	if err != nil {
		return
	}
	var handled []delivery
	for _, d := range batch {
		if !failed[d.m.id] {
			handled = append(handled, d)
		}
	}
	if len(handled)+len(failed) != len(batch) {
		return
	}
	for _, d := range handled {
		q.delete(d)
	}
}
