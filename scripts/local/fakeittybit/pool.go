package fakeittybit

import (
	"context"
	"sync"
)

// pool runs functions, at most limit at once, in the order they came. It has a
// goroutine only while there is something to do. (errgroup's limit makes the
// caller wait; here the caller is answering a request.)
type pool struct {
	limit int

	mu      sync.Mutex
	queue   []func()
	running int
	workers sync.WaitGroup
	closed  bool
	resting chan struct{} // closed when nothing is running; nil while nobody waits for that
}

func (p *pool) do(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.queue = append(p.queue, f)
	if p.running < p.limit {
		p.running++
		p.workers.Go(p.work)
	}
}

func (p *pool) work() {
	for f := p.next(); f != nil; f = p.next() {
		f()
	}
}

func (p *pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		if p.running--; p.running == 0 && p.resting != nil {
			close(p.resting)
			p.resting = nil
		}
		return nil
	}
	f := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return f
}

func (p *pool) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running == 0 // while something is queued, something is running
}

// idle waits until the pool has nothing to do.
func (p *pool) idle(ctx context.Context) error {
	p.mu.Lock()
	if p.running == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.resting == nil {
		p.resting = make(chan struct{})
	}
	resting := p.resting
	p.mu.Unlock()
	select {
	case <-resting:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close drops what has not begun and waits for what has.
func (p *pool) close() {
	p.mu.Lock()
	p.closed, p.queue = true, nil
	p.mu.Unlock()
	p.workers.Wait()
}
