package quiet_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"ittybit-media/scripts/local/quiet"
)

func TestUntil(t *testing.T) {
	t.Parallel()
	left := errors.New("left")
	for name, tt := range map[string]struct {
		becomes int // what is waited for is 2
		leave   bool
		want    error
	}{
		"it comes true":     {becomes: 2},
		"the context ends":  {becomes: 1, leave: true, want: left},
		"the context first": {leave: true, want: left},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var n int
				changed := quiet.NewCond(&mu)
				ctx, leave := context.WithCancelCause(t.Context())
				defer leave(nil)
				waited := make(chan error, 1)
				go func() {
					mu.Lock()
					defer mu.Unlock()
					waited <- changed.Until(ctx, func() bool { return n == 2 })
				}()
				for range tt.becomes {
					synctest.Wait()
					if len(waited) > 0 {
						t.Fatal("it does not wait")
					}
					mu.Lock()
					n++
					changed.Broadcast()
					mu.Unlock()
				}
				if tt.leave {
					leave(left)
				}
				if err := <-waited; !errors.Is(err, tt.want) {
					t.Errorf("Until = %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestNothingIsAskedAfterTheEnd(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mu.Lock()
	defer mu.Unlock()
	err := quiet.NewCond(&mu).Until(ctx, func() bool {
		t.Error("it is asked")
		return true
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Until = %v", err)
	}
}
