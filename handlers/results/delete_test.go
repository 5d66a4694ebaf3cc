package results_test

import (
	"errors"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

func TestDelete(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	ref := refTo("video", 0)
	remove := func(want bool) {
		t.Helper()
		deleted, err := f.Delete(t.Context(), f.client, f.row(t))
		if err != nil || deleted != want {
			t.Errorf("Delete = %v, %v, want %v", deleted, err, want)
		}
	}
	f.queued(t, ref, queued)
	old := f.row(t)
	remove(false)
	if f.row(t).Key == "" {
		t.Fatal("the row of an open job is gone")
	}
	f.apply(t, ref, succeeded, results.CreateOrUpdate)
	remove(true)
	if row := f.row(t); row.Key != "" {
		t.Errorf("there still is %s", asJSON(t, row))
	}
	if deleted, err := f.Delete(t.Context(), f.client, old); err != nil || !deleted {
		t.Errorf("of a row that is not there: %v, %v", deleted, err)
	}

	// What was rejected never was open.
	if _, err := f.Reject(t.Context(), f.now, media.Upload{}, ref, "no"); err != nil {
		t.Fatal(err)
	}
	remove(true)

	if _, err := f.Delete(t.Context(), f.client, results.Row{Key: "a"}); err == nil {
		t.Error("a row without a sort key is taken")
	}
	none := results.New(f.client, "another", results.Options{TTL: time.Hour})
	if _, err := none.Delete(t.Context(), f.client, old); !errors.Is(err, results.ErrNoTable) {
		t.Errorf("of no table: %v", err)
	}
}
