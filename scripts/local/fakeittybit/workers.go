package fakeittybit

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"

	"ittybit-media/scripts/local/quiet"
)

// workers run functions in the background. Close ends them.
type workers struct {
	ctx context.Context // ends with the server

	mu      sync.Mutex
	changed *quiet.Cond // nothing is to be done any more
	todo    int         // functions that are waiting or running
	closed  bool
}

func newWorkers(ctx context.Context) *workers {
	w := &workers{ctx: ctx}
	w.changed = quiet.NewCond(&w.mu)
	return w
}

// do has f run as soon as there is a slot for it, and not at all after close.
// The caller does not wait: it is answering a request.
func (w *workers) do(slots *semaphore.Weighted, f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.todo++
	go func() {
		defer w.done()
		if slots.Acquire(w.ctx, 1) == nil {
			defer slots.Release(1)
			f()
		}
	}()
}

func (w *workers) done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.todo--; w.todo == 0 {
		w.changed.Broadcast()
	}
}

// idle waits until there is nothing to do. It returns ctx's cause when ctx ends
// first.
func (w *workers) idle(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed.Until(ctx, func() bool { return w.todo == 0 })
}

// close drops what has not begun, once the server's context has ended, and waits
// for what has.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	_ = w.idle(context.Background())
}
