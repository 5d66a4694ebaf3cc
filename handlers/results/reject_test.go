package results_test

import (
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

func TestReject(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 30*24*time.Hour)
	reject := func(ref media.JobRef, u media.Upload, reason string, news bool) {
		t.Helper()
		stored, err := f.Reject(t.Context(), f.now, u, ref, reason)
		if err != nil || stored != news {
			t.Errorf("Reject(%q) = %v, %v, want %v", reason, stored, err, news)
		}
	}
	ref := refTo("video", 1)
	reject(ref, upload, "400 invalid_input: https://x/webhook?token=eyJh.b.c refused", true)
	reject(ref, upload, "the same again", false)
	reject(refTo("video", 0), upload, "an earlier attempt", false)

	want := `{"pk":"uploads/été #1 +%.mov","sk":"upload#` + ref.Upload + `#video","etag":"0f343b0931126a20f133d67c2b018a3b","version_id":"v7",` +
		`"sequencer":"0055AED6DCD90281E5","uploaded_at":1775210398000,"state":"rejected","error":"400 invalid_input: https://x/webhook?token=[redacted] refused",` +
		`"source_bucket":"my-media-bucket","upload":"` + ref.Upload + `","job":"video","attempt":1,"size":1234,"updated_at":1775210400000,"expires_at":1777802400}`
	if got := asJSON(t, f.row(t)); got != want {
		t.Errorf("row\n     %s\nwant %s", got, want)
	}
	if open := f.overdue(t, start.Add(time.Hour)); len(open) > 0 {
		t.Errorf("a rejection is an open job: %s", asJSON(t, open))
	}

	unsized := upload
	unsized.Size = media.UnknownSize
	f.now = start.Add(time.Hour)
	reject(refTo("video", 2), unsized, "a later attempt", true)
	row := f.row(t)
	if row.Attempt != 2 || row.Error != "a later attempt" || row.Size != nil || row.UpdatedAt != ms(f.now) {
		t.Errorf("row = %s", asJSON(t, row))
	}
	if row.JobID() != "" {
		t.Errorf("a rejection has the job id %s", row.JobID())
	}

	reject(refTo("", 0), upload, strings.Repeat("x", 5000), true)
	reject(refTo("", 0), upload, "again", false)
	if stored := f.aws.Item(t, upload.Key, "upload#"+ref.Upload); stored["job"] != nil || stored["rank"] != nil || len(stored) == 0 {
		t.Errorf("rejected upload = %v", stored)
	}
}

func TestUploadRows(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	has := func(job string, attempt int, want bool) {
		t.Helper()
		ledger, err := f.RowsByUpload(t.Context(), upload.Key, upload.ID(tableName))
		if err != nil {
			t.Fatal(err)
		}
		if got := ledger.Has(job, attempt); got != want {
			t.Errorf("Has(%s, %d) = %v, want %v; rows %+v", job, attempt, got, want, ledger)
		}
	}
	reject := func(ref media.JobRef) {
		t.Helper()
		if _, err := f.Reject(t.Context(), f.now, upload, ref, "no"); err != nil {
			t.Fatal(err)
		}
	}
	has("video", 0, false)

	// Rows of other uploads of the key are none of this one.
	elsewhere := refTo("video", 0)
	elsewhere.Upload = "ffff"
	f.apply(t, elsewhere, media.Result{JobID: "other"}, results.CreateOrUpdate)
	has("video", 0, false)

	f.queued(t, refTo("video", 0), queued)
	has("video", 0, true)
	has("video", 1, false)
	has("image", 0, false)
	f.apply(t, refTo("video", 0), failed, results.CreateOrUpdate)
	has("video", 0, true)
	f.apply(t, refTo("video", 2), media.Result{JobID: "late"}, results.CreateOrUpdate)
	has("video", 2, true)
	has("video", 1, false) // a later job says nothing of this one

	reject(refTo("audio", 1))
	has("audio", 0, true) // its note, if there was one, was replaced
	has("audio", 1, true)
	has("audio", 2, false)
	has("image", 0, false)

	reject(refTo("", 1))
	has("image", 0, true)
	has("image", 1, true)
	has("image", 2, false) // a person tries again, with a higher limit
}
