package function_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/handlers/function"
)

func TestTimeIsTheDeadlineLessTheTimeout(t *testing.T) {
	t.Parallel()
	began := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC) // nowhere near the clock on the wall
	ctx, cancel := context.WithDeadline(t.Context(), began.Add(time.Minute))
	defer cancel()
	if got := function.InvokedAt(ctx, time.Minute); !got.Equal(began) {
		t.Errorf("began at %v, want %v", got, began)
	}
}

func TestTimeWithoutADeadlineIsNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if got := function.InvokedAt(t.Context(), time.Minute); !got.Equal(time.Now()) {
			t.Errorf("began at %v, want %v", got, time.Now())
		}
	})
}
