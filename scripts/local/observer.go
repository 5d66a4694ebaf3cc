package main

import (
	"sync"

	"ittybit-media/scripts/local/pipeline"
)

// observer keeps the pipeline's steps for one listener, which never holds the
// pipeline up.
type observer struct {
	news chan struct{} // has a value when there are steps to take

	mu    sync.Mutex
	steps []pipeline.Step
}

func newObserver() *observer { return &observer{news: make(chan struct{}, 1)} }

func (o *observer) step(s pipeline.Step) {
	o.mu.Lock()
	o.steps = append(o.steps, s)
	o.mu.Unlock()
	select {
	case o.news <- struct{}{}:
	default:
	}
}

// take returns the steps since the last call; nil for none.
func (o *observer) take() []pipeline.Step {
	o.mu.Lock()
	defer o.mu.Unlock()
	steps := o.steps
	o.steps = nil
	return steps
}
