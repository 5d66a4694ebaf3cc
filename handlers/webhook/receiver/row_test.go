package receiver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/handlers/env"
)

// guidesRow is what the guide's example must become.
func guidesRow(id string, now time.Time) row {
	return row{
		"pk":           "uploads/video.mov",
		"sk":           "task#" + id,
		"status":       "completed",
		"kind":         "video",
		"output_url":   "https://cdn.ittybit.com/abc/video.mp4",
		"duration_ms":  4820.0,
		"created_at":   1775210400000.0,
		"completed_at": 1775210404000.0,
		// Ours.
		"state":         "succeeded",
		"rank":          4.0,
		"source_bucket": "my-media-bucket",
		"upload":        ref.Upload,
		"job":           "video",
		"attempt":       0.0,
		"outputs":       []any{row{"url": "https://cdn.ittybit.com/abc/video.mp4"}},
		"updated_at":    float64(now.UnixMilli()),
		"event":         row{"type": "Media Job Succeeded", "key": "uploads/video.mov", "job_id": id},
	}
}

func wantRow(t testing.TB, got, want row) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the row is\n%v\nwant\n%v", got, want)
	}
}

// The guide's payload is in testdata to the byte, which the signatures there
// count on.
func TestTestdataHasTheGuidesPayload(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(filepath.Join("..", "..", "ittybit", "testdata", "w2_guide.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"callback.json", "callback_base64.json", "callback_signed.json", "callback_signed_base64.json"} {
		if body, err := decodeBody(request(t, name, "")); err != nil || !bytes.Equal(body, want) {
			t.Errorf("%s: the body is %s, error %v", name, body, err)
		}
	}
}

func TestTheGuidesExampleGivesTheGuidesRow(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"callback.json", "callback_base64.json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *deployed) {
				f.noted(t, ref, "task_abc123")
				f.want(t, request(t, name, f.token(t, ref, newestKey)), stored)
				wantRow(t, f.only(t), guidesRow("task_abc123", time.Now()))
			})
		})
	}
}

func TestRowsEndWithTheirTTL(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	synctest.Test(t, func(t *testing.T) {
		f := c.deploy(t, env.ResultTTLDays, "30")
		f.noted(t, ref, "task_abc123")
		token := f.token(t, ref, newestKey)
		f.want(t, callback(t, token, about(t, ref, "task.updated", "task_abc123", "processing")), stored)
		if end, has := f.only(t)["expires_at"]; has {
			t.Errorf("a row that is not final expires at %v", end)
		}
		time.Sleep(time.Hour)
		f.want(t, request(t, "callback.json", token), stored)
		want := guidesRow("task_abc123", time.Now())
		want["expires_at"] = float64(time.Now().AddDate(0, 0, 30).Unix())
		wantRow(t, f.only(t), want)
	})
}

// Every form of callback in the decoder's testdata comes through.
func TestEveryFormOfCallback(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file        string
		want        answer
		id          string
		status      string
		state, open string
	}{
		{file: "w1_bare.json", want: stored, id: "task_a1b2c3d4", status: "succeeded", state: "succeeded"},
		{file: "w2_guide.json", want: stored, id: "task_abc123", status: "completed", state: "succeeded"},
		{file: "w3_type_bare.json", want: stored, id: "job_01h455vb4pex5vsknk084sn02q", status: "failed", state: "failed"},
		{file: "w3_type_data.json", want: stored, id: "job_01h455vb4pex5vsknk084sn02q", status: "succeeded", state: "succeeded"},
		{file: "w4_event.json", want: stored, id: "task_abcdefgh1234", status: "succeeded", state: "succeeded"},
		{file: "w5_bare_2025.json", want: stored, id: "task_abcdefgh5678", status: "completed", state: "succeeded"},
		{file: "failed_error_object.json", want: stored, id: "job_f1", status: "failed", state: "failed"},
		{file: "failed_error_null.json", want: stored, id: "job_f2", status: "failed", state: "failed"},
		{file: "failed_error_list.json", want: stored, id: "job_f3", status: "error", state: "failed"},
		{file: "cancelled.json", want: stored, id: "job_c1", status: "canceled", state: "cancelled"},
		{file: "output_list.json", want: stored, id: "job_o1", status: "Succeeded", state: "succeeded"},
		{file: "processing.json", want: stored, id: "task_p1", status: "transmogrifying", state: "processing", open: "1"},
		{file: "run_succeeded.json", want: ignored},
		{file: "media_created.json", want: ignored},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			f := newCloud(t).deploy(t)
			body, err := os.ReadFile(filepath.Join("..", "..", "ittybit", "testdata", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if tt.id != "" {
				f.noted(t, ref, tt.id)
			}
			f.want(t, callback(t, f.token(t, ref, newestKey), string(body)), tt.want)
			if tt.want == ignored {
				if all := f.rows(t); len(all) != 0 || f.CallsTo("DynamoDB") != 2 { // CreateTable, our Scan
					t.Errorf("rows %v after calls %v, want none to the table", all, f.Calls())
				}
				return
			}
			got := f.only(t)
			open, _ := got["open"].(string)
			if got["pk"] != ref.Key || got["sk"] != "task#"+tt.id || got["status"] != tt.status || got["state"] != tt.state || open != tt.open {
				t.Errorf("the row is %v, want %+v", got, tt)
			}
			if text := fmt.Sprint(got["error"]); strings.Contains(text, "eyJ") || strings.Contains(text, "0123456789abcdef") {
				t.Errorf("a secret of Ittybit's error got into the row: %s", text)
			}
		})
	}
}

func TestKeysReachTheTableUnchanged(t *testing.T) {
	t.Parallel()
	keys := []string{
		"uploads/a b.mov",
		"  two spaces around  ",
		"a+b.mov",
		"a%41%2F%.mov", // no encoding: S3's own event has it so
		"a#1?token=x&y=z.mov",
		`it's "quoted" \ back/slashed.mov`,
		"uploads/🎬👩‍👩‍👧.mov",
		"עברית/\u202eعربى.mov",
		"NFC é, NFD e\u0301.mov",
		"line\nbreak\ttab\u2028.mov",
		"<&>;${key}{filename}.mov",
		"../../a/./b//c///.mov",
		"//",
		"..",
		"budget#",
		strings.Repeat("k", 1024),
		strings.Repeat("é", 512),
		strings.Repeat("\x01", 1024),
	}
	f := newCloud(t).deploy(t)
	for i, key := range keys {
		u := upload
		u.Key = key
		r := refTo(u, "video", 0)
		id := fmt.Sprintf("job_%d", i)
		f.want(t, callback(t, f.token(t, r, newestKey), about(t, r, "job.succeeded", id, "succeeded")), stored)
	}
	got := map[any]any{}
	for _, row := range f.rows(t) {
		got[row["sk"]] = row["pk"]
	}
	want := map[any]any{}
	for i, key := range keys {
		want[fmt.Sprintf("task#job_%d", i)] = key
	}
	if !maps.Equal(got, want) {
		t.Errorf("the keys in the table are %q\nwant %q", got, want)
	}
}

// The token's claims are the truth, and metadata may only confirm them.
func TestMetadata(t *testing.T) {
	t.Parallel()
	claims := refTo(upload, "video", 2)
	tests := map[string]struct {
		metadata string
		want     answer
	}{
		"absent":              {metadata: ``, want: stored},
		"null":                {metadata: `null`, want: stored},
		"empty":               {metadata: `{}`, want: stored},
		"no object":           {metadata: `["a"]`, want: stored},
		"the guide's":         {metadata: `{"source_bucket":"my-media-bucket","source_key":"uploads/video.mov"}`, want: stored},
		"ours":                {metadata: toJSON(t, metadataOf(t, claims)), want: stored},
		"a null in it":        {metadata: `{"source_key":null,"job":"video"}`, want: stored},
		"attempt as a number": {metadata: `{"attempt":2}`, want: stored},
		"somebody's more":     {metadata: `{"customer":"42"}`, want: stored},
		"other bucket":        {metadata: `{"source_bucket":"other"}`, want: forbidden},
		"other key":           {metadata: `{"source_bucket":"my-media-bucket","source_key":"uploads/Video.mov"}`, want: forbidden},
		"key encoded":         {metadata: `{"source_key":"uploads%2Fvideo.mov"}`, want: forbidden},
		"other upload":        {metadata: `{"upload":"` + strings.Repeat("0", 32) + `"}`, want: forbidden},
		"other job":           {metadata: `{"job":"thumbnail"}`, want: forbidden},
		"other attempt":       {metadata: `{"attempt":"0"}`, want: forbidden},
		"empty key":           {metadata: `{"source_key":""}`, want: forbidden},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newCloud(t).deploy(t)
			f.noted(t, claims, "task_abc123")
			data := map[string]any{"id": "task_abc123", "status": "completed"}
			if tt.metadata != "" {
				data["metadata"] = json.RawMessage(tt.metadata)
			}
			f.want(t, callback(t, f.token(t, claims, newestKey), toJSON(t, data)), tt.want)
			if tt.want != stored {
				if all := f.rows(t); len(all) != 0 {
					t.Errorf("refused, and written: %v", all)
				}
				return
			}
			got := f.only(t)
			if got["pk"] != claims.Key || got["source_bucket"] != claims.Bucket || got["upload"] != claims.Upload || got["job"] != claims.Job || got["attempt"] != 2.0 {
				t.Errorf("the row is %v, want the claims %+v", got, claims)
			}
		})
	}
}
