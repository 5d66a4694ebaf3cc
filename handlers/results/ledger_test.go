package results_test

import (
	"reflect"
	"testing"
	"time"

	"ittybit-media/handlers/results"
)

// Whoever writes first decides which id a job has; both learn it.
func TestTheFirstIDInTheLedgerStays(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	slot := results.Slot{Job: "video", Attempt: 1}
	for _, id := range []string{"first", "second"} {
		l, err := f.UpdateLedger(t.Context(), f.now, upload.Key, "u", map[results.Slot]results.Entry{slot: {ID: id}})
		if err != nil || l.Entries[slot].ID != "first" {
			t.Errorf("after %s: %+v, %v", id, l, err)
		}
	}
}

func TestALedgerComesBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 30*24*time.Hour)
	if l, err := f.Ledger(t.Context(), upload.Key, "u"); err != nil || !l.WrittenAt.IsZero() || len(l.Entries) > 0 {
		t.Fatalf("there is none: %+v, %v", l, err)
	}
	entries := map[results.Slot]results.Entry{
		{Job: "video"}:                   {ID: "id", Reserved: "2026-04-03"},
		{Job: "a#b", Attempt: 12}:        {Refused: &results.Refusal{Status: 400, Kind: "invalid_input", At: ms(f.now)}},
		{Attempt: 3}:                     {Rejected: &results.Rejection{Why: "too large", Reason: "it has 9 bytes"}},
		{Job: "thumbnail", Attempt: 999}: {ID: "other", Rejected: &results.Rejection{Why: "w", Reason: "r"}},
	}
	if _, err := f.UpdateLedger(t.Context(), f.now, upload.Key, "u", entries); err != nil {
		t.Fatal(err)
	}
	got, err := f.Ledger(t.Context(), upload.Key, "u")
	if err != nil || !got.WrittenAt.Equal(f.now) || !reflect.DeepEqual(got.Entries, entries) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, entries)
	}
	if !got.Has("video", 0) || got.Has("video", 1) != got.Has("other", 1) || !got.Has("any", 3) || got.Has("a#b", 12) {
		t.Errorf("what it has: %+v", got)
	}
	for row, err := range f.RowsByKey(t.Context(), upload.Key) {
		t.Errorf("a reader of rows sees %+v, %v", row, err)
	}
	item := f.aws.Item(t, upload.Key, "ledger#u")
	for _, name := range []string{"state", "event", "open", "check_at"} {
		if item[name] != nil {
			t.Errorf("it has %s", name)
		}
	}
	if item["expires_at"] == nil {
		t.Error("it never expires")
	}
}

func TestReservations(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	reserve := func(n int, want bool) {
		t.Helper()
		if ok, err := f.ReserveJobs(t.Context(), start, n, 10); ok != want || err != nil {
			t.Errorf("%d jobs: %v, %v", n, ok, err)
		}
	}
	reserve(11, false) // more than a day has
	reserve(9, true)
	reserve(2, false)
	reserve(1, true)
	reserve(1, false)
	if err := f.ReturnJobs(t.Context(), start, 3); err != nil {
		t.Fatal(err)
	}
	reserve(3, true)
	if n, err := f.JobCount(t.Context(), start); n != 10 || err != nil {
		t.Errorf("%d jobs, %v", n, err)
	}
}
