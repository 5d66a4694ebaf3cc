package main

import (
	"sync"

	"ittybit-media/scripts/local/pipeline"
)

// observer hands the pipeline's steps on to whoever is listening. A listener
// never holds the pipeline up.
type observer struct {
	mu     sync.Mutex
	steps  []pipeline.Step
	signal chan struct{}
}

func (o *observer) step(s pipeline.Step) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.steps = append(o.steps, s)
	select {
	case o.more() <- struct{}{}:
	default:
	}
}

// more has a value when there are steps to take. The lock must be held.
func (o *observer) more() chan struct{} {
	if o.signal == nil {
		o.signal = make(chan struct{}, 1)
	}
	return o.signal
}

// news is the channel that has a value when there are steps to take.
func (o *observer) news() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.more()
}

// take returns the steps since the last call.
func (o *observer) take() []pipeline.Step {
	o.mu.Lock()
	defer o.mu.Unlock()
	steps := o.steps
	o.steps = nil
	return steps
}
