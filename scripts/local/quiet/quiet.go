// Package quiet is how the parts of the local pipeline wait until they have
// nothing to do.
package quiet

import (
	"context"
	"sync"
)

// Cond is a [sync.Cond] on which a wait ends with a context, too.
type Cond struct{ sync.Cond }

// NewCond returns a condition of what the lock guards.
func NewCond(l sync.Locker) *Cond { return &Cond{sync.Cond{L: l}} }

// Until waits until holds reports true, which it asks for again after every
// broadcast. It returns ctx's cause, without asking, once ctx has ended. The
// caller has the lock, and holds is called with it.
func (c *Cond) Until(ctx context.Context, holds func() bool) error {
	defer context.AfterFunc(ctx, func() {
		c.L.Lock() // not between a look at ctx and the wait
		defer c.L.Unlock()
		c.Broadcast()
	})()
	for ctx.Err() == nil {
		if holds() {
			return nil
		}
		c.Wait()
	}
	return context.Cause(ctx)
}
