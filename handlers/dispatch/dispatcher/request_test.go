package dispatcher

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/telemetry"
	"ittybit-media/scripts/local/fakeittybit"
)

func TestTheGuidesEventGivesTheGuidesRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{routes: `{"routes":[{"jobs":[{"name":"video","kind":"video","options":{"width":1920,"format":"mp4","quality":"high"}}]}]}`})
	a := w.well(payload(t, nil))
	var got map[string]any
	if err := json.Unmarshal(w.bodies[0], &got); err != nil || len(a.Jobs) != 1 {
		t.Fatal(a, err)
	}
	url, _ := got["webhook_url"].(string)
	base, token, ok := strings.Cut(url, "?token=")
	if !ok || base != webhookURL {
		t.Errorf("webhook_url %q", url)
	}
	keys, err := media.NewCallbackKeys([]string{callbackKey})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := keys.Verify(token)
	if err != nil || ref.Key != key || ref.Job != "video" || ref.Upload != a.Upload {
		t.Errorf("the token is for %+v, %v", ref, err)
	}
	delete(got, "webhook_url")
	want := map[string]any{
		"input":   "s3://my-media-bucket/uploads/video.mov",
		"kind":    "video",
		"options": map[string]any{"connection_id": "conn_abc123", "width": 1920.0, "format": "mp4", "quality": "high"},
		"metadata": map[string]any{
			"source_bucket": "my-media-bucket", "source_key": "uploads/video.mov",
			"job": "video", "upload": a.Upload, "attempt": "0",
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	w.wantJobs(key, "video")
	row := w.row(key, "video")
	if row.State != "queued" || row.Bucket != "my-media-bucket" || row.ETag != "b1946ac92492d2347c6235b4d2611184" || row.Sequencer != "00617F08299329D189" ||
		row.Open == "" || row.CheckAt.Time().Sub(row.DispatchedAt.Time()).Round(time.Minute) != 30*time.Minute ||
		time.Since(row.UploadedAt.Time()) > time.Minute {
		t.Errorf("row %+v", row)
	}
	w.log.WantCounted(t, telemetry.UploadsDispatched, map[string]float64{"": 1})
	w.log.WantCounted(t, telemetry.JobsCreated, map[string]float64{"": 1})
}

// The guide's event names bucket, key and size, and nothing else.
func TestAnEventWithNoMoreThanTheGuideReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	e := payload(t, func(o map[string]any) {
		maps.DeleteFunc(o, func(name string, _ any) bool { return name != "key" && name != "size" })
	})
	w.well(e)
	w.well(e)
	w.wantJobs(key, jobNames...)
}

func TestOneInvocationAsksAsLittleAsItCan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{ittybit: fakeittybit.Options{Latency: 20 * time.Millisecond}})
	for i := range 3 {
		w.well(withKey(t, fmt.Sprintf("%d.mov", i)))
	}
	want := map[string]int{"DynamoDB.CreateTable": 1, "DynamoDB.GetItem": 3, "DynamoDB.UpdateItem": 3, "DynamoDB.PutItem": 9, "SecretsManager.GetSecretValue": 2}
	if got := w.Calls(); !maps.Equal(got, want) {
		t.Errorf("calls %v, want %v", got, want)
	}
	if got := w.ittybit.Requests(); !maps.Equal(got, map[fakeittybit.Op]int{fakeittybit.Create: 9}) {
		t.Errorf("requests %v", got)
	}
	if n := w.ittybit.MaxInFlight(); n != 3 {
		t.Errorf("%d jobs are created at once, want 3", n)
	}
}

func TestKeysArriveUnchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for _, k := range []string{
		"a b.mov", "a+b.mov", "%41.mov", "a#b.mov", "a?b&c=d.mov", `"quoted"'s.mov`, "<b>.mov", "emoji 😀.mov", "ملف \u202e.mov",
		strings.Repeat("k", 1020) + ".mov", "../../up.mov", "a//b.mov", "/lead.mov", `back\slash.mov`, "{brace}.mov", "new\nline.mov", "x.MOV", "x.Mp4",
	} {
		if _, err := w.invoke(withKey(t, k)); err != nil {
			t.Errorf("%q: %v", k, err)
			continue
		}
		w.wantJobs(k, jobNames...)
		for _, j := range w.ittybit.Jobs()[len(w.ittybit.Jobs())-3:] {
			if j.Input != "s3://my-media-bucket/"+k {
				t.Errorf("%q is input as %q", k, j.Input)
			}
		}
	}
}
