package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

func TestCallbacksDoubledAndOutOfOrder(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.NonFinalCallbacks = true
		o.Deliveries = func(j fakeittybit.Job) []fakeittybit.Delivery {
			switch {
			case j.Status == fakeittybit.Processing: // late
				return []fakeittybit.Delivery{{After: time.Hour, Shape: fakeittybit.Bare}}
			case j.Kind == "video": // twice, and a day late
				return []fakeittybit.Delivery{{}, {After: time.Second, Shape: fakeittybit.Event}, {After: 24 * time.Hour}}
			default:
				return []fakeittybit.Delivery{{Shape: fakeittybit.TypedData}}
			}
		}
	})
	r.Put("a.mov", "x")
	r.Until("three results", func() bool { return r.Succeeded("a.mov") })
	before, err := json.Marshal(r.Rows("a.mov"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.Clock.Advance(24 * time.Hour)
	}
	if err := r.Ittybit.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.Ittybit.Callbacks().Delivered; n != 8 {
		t.Errorf("%d callbacks delivered, want 3 late ones, 3 for the video and 2", n)
	}
	after, err := json.Marshal(r.Rows("a.mov"))
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("the rows changed:\n%s\n%s", before, after)
	}
}

func TestWebhookMayBeDown(t *testing.T) {
	t.Parallel()
	var r *run
	r = start(t, func(o *fakeittybit.Options) {
		var once sync.Once
		o.Deliveries = func(fakeittybit.Job) []fakeittybit.Delivery {
			once.Do(func() {
				r.AWS.Intercept(func(_ context.Context, c endpoint.Call) error {
					if c.Operation == "UpdateItem" {
						return &endpoint.Fault{Type: "ValidationException", Message: "down"}
					}
					return nil
				})
			})
			return []fakeittybit.Delivery{{}}
		}
	})
	r.Put("a.mov", "x")
	r.Until("a callback failed", func() bool {
		for _, text := range r.Logged("webhook") {
			if strings.Contains(text, "not stored") {
				return true
			}
		}
		return false
	})
	r.AWS.Intercept(nil)
	r.Until("what dispatch could not note is in the retry queue, or noted", func() bool {
		_, failed := r.Has(pipeline.Waiting, "a.mov")
		_, dispatched := r.Has(pipeline.Dispatched, "a.mov")
		return failed || dispatched
	})
	r.Clock.Advance(media.RetryDelay)
	r.Until("three results", func() bool {
		r.Clock.Advance(time.Second) // Ittybit sends again with growing pauses
		return r.Succeeded("a.mov")
	})
	r.WantOnce("a.mov")
}

// The guide's callback, posted through the HTTP API, gives the guide's row.
func TestTheGuidesCallbackGivesTheGuidesRow(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	payload, err := os.ReadFile(filepath.Join("..", "..", "..", "handlers", "ittybit", "testdata", "w2_guide.json"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := media.NewCallbackKeys(r.CallbackKeys)
	if err != nil {
		t.Fatal(err)
	}
	upload := media.Upload{Bucket: "my-media-bucket", Key: "uploads/video.mov", ETag: "e"}.ID(r.Table)
	token, err := keys.Sign(media.JobRef{Bucket: "my-media-bucket", Key: "uploads/video.mov", Upload: upload, Job: "video"})
	if err != nil {
		t.Fatal(err)
	}
	table := results.New(r.DynamoDB(), r.Table, results.Options{}) // the job is dispatch's
	if _, err := table.ClaimID(t.Context(), time.Now(), "uploads/video.mov", upload, results.Slot{Job: "video"}, "task_abc123"); err != nil {
		t.Fatal(err)
	}
	if status, body := post(t, r.WebhookURL+"?token="+token, payload); status != http.StatusOK {
		t.Fatal(status, body)
	}
	rows := r.Rows("uploads/video.mov")
	if len(rows) != 1 {
		t.Fatalf("rows %+v", rows)
	}
	data, err := json.Marshal(rows[0])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"pk": "uploads/video.mov", "sk": "task#task_abc123", "status": "completed", "kind": "video",
		"output_url": "https://cdn.ittybit.com/abc/video.mp4", "duration_ms": 4820.0, "created_at": 1775210400000.0, "completed_at": 1775210404000.0,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

func TestForgedCallbacksChangeNothing(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *fakeittybit.Options) {
		o.Deliveries = func(fakeittybit.Job) []fakeittybit.Delivery { return nil }
	})
	r.Put("a.mov", "x")
	r.Put("b.mov", "x")
	r.Until("both are dispatched", func() bool { return len(r.Rows("a.mov")) == 3 && len(r.Rows("b.mov")) == 3 })
	before, err := json.Marshal([][]results.Row{r.Rows("a.mov"), r.Rows("b.mov")})
	if err != nil {
		t.Fatal(err)
	}
	var a, b fakeittybit.Job
	for _, j := range r.Ittybit.Jobs() {
		if j.Metadata["job"] == "video" && strings.HasSuffix(j.Input, "a.mov") {
			a = j
		} else if j.Metadata["job"] == "video" {
			b = j
		}
	}
	forged := fmt.Appendf(nil, `{"id":%q,"status":"failed","kind":"video","metadata":{"source_key":"a.mov"}}`, a.ID)
	_, token, _ := strings.Cut(a.WebhookURL, "?token=")
	_, other, _ := strings.Cut(b.WebhookURL, "?token=")
	for name, tt := range map[string]struct {
		query string
		body  []byte
		want  int
	}{
		"no token":                {"", forged, 401},
		"another upload's token":  {"?token=" + other, forged, 401},
		"half a token":            {"?token=" + token[:len(token)/2], forged, 401},
		"over 6 MiB":              {"?token=" + token, append(forged, bytes.Repeat([]byte(" "), 6<<20)...), 500}, // Lambda does not take it
		"no JSON":                 {"?token=" + token, []byte("completed"), 400},
		"another path":            {"/other?token=" + token, forged, 404},
		"not about a job":         {"?token=" + token, []byte(`{"event":"media.created","data":{"id":"m"}}`), 200},
		"no token, large":         {"", bytes.Repeat([]byte(" "), 6<<20+1), 500},
		"a token in another name": {"?tokn=" + token, forged, 401},
	} {
		if status, body := post(t, r.WebhookURL+tt.query, tt.body); status != tt.want {
			t.Errorf("%s: %d %s, want %d", name, status, body, tt.want)
		}
	}
	after, err := json.Marshal([][]results.Row{r.Rows("a.mov"), r.Rows("b.mov")})
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("the rows changed:\n%s\n%s", before, after)
	}
	// What the forgeries are made from is not itself at fault.
	if status, body := post(t, r.WebhookURL+"?token="+token, forged); status != 200 {
		t.Errorf("the real one: %d %s", status, body)
	}
}

func post(t *testing.T, url string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}
