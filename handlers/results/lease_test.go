package results_test

import (
	"testing"
	"time"
)

// A lease has one owner at a time, which alone releases it.
func TestLease(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	until := start.Add(3 * time.Minute)
	take := func(what, owner string, now time.Time, want bool) {
		t.Helper()
		taken, err := f.TakeLease(t.Context(), now, "sweep", owner, now.Add(until.Sub(start)))
		if err != nil || taken != want {
			t.Errorf("%s: taken %v, %v; want %v", what, taken, err, want)
		}
	}
	release := func(owner string) {
		t.Helper()
		if err := f.ReleaseLease(t.Context(), "sweep", owner); err != nil {
			t.Errorf("%s releases: %v", owner, err)
		}
	}
	take("free", "a", start, true)
	take("held by another", "b", until.Add(-time.Millisecond), false)
	take("its owner again", "a", start, true)
	release("b")
	take("released by another", "b", start, false)
	take("its time is over", "b", until, true)
	release("a")
	take("released by its former owner", "c", until, false)
	release("b")
	take("released", "c", start, true)
	if rows := f.aws.Rows(t, ""); len(rows) > 0 {
		t.Errorf("the lease shows as a row: %+v", rows)
	}
}
