package event_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var upload = media.Upload{
	Bucket:    "my-media-bucket",
	Key:       "uploads/video.mov",
	Size:      5242880,
	ETag:      "b1946ac92492d2347c6235b4d2611184",
	VersionID: "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
	Sequencer: "00617F08299329D189",
	Time:      time.Date(2026, 4, 3, 7, 20, 0, 0, time.UTC),
}

// batch puts bodies into an event as the retry queue's event source mapping
// sends it.
func batch(t testing.TB, bodies ...string) []byte {
	t.Helper()
	type record struct {
		MessageID   string `json:"messageId"`
		Body        string `json:"body"`
		EventSource string `json:"eventSource"`
	}
	var records []record
	for i, body := range bodies {
		records = append(records, record{fmt.Sprintf("m%d", i), body, "aws:sqs"})
	}
	data, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEveryFormOfAPayloadGivesTheSameUpload(t *testing.T) {
	t.Parallel()
	payload, envelope, retry := read(t, "s3_object_created.json"), read(t, "lambda_failure_envelope.json"), read(t, "retry.json")
	backfill := strings.ReplaceAll(strings.ReplaceAll(string(retry), `"Retry"`, `"Backfill"`), `"attempt": 2,
    "jobs": ["thumbnail"]`, `"attempt": 0`)
	for name, tt := range map[string]struct {
		payload []byte
		want    event.Request
		queue   bool
	}{
		"S3's event":              {payload: payload, want: event.Request{Upload: upload, Direct: true}},
		"S3's event in the queue": {payload: batch(t, string(payload)), want: event.Request{Upload: upload}, queue: true},
		"Lambda's envelope":       {payload: batch(t, string(envelope)), want: event.Request{Upload: upload}, queue: true},
		"a retry":                 {payload: retry, want: event.Request{Upload: upload, Attempt: 2, Jobs: []string{"thumbnail"}}},
		"a retry in the queue":    {payload: batch(t, string(retry)), want: event.Request{Upload: upload, Attempt: 2, Jobs: []string{"thumbnail"}}, queue: true},
		"a backfill":              {payload: []byte(backfill), want: event.Request{Upload: upload}},
		"a redrive":               {payload: []byte(strings.ReplaceAll(backfill, `"Backfill"`, `"Redrive"`)), want: event.Request{Upload: upload}},
	} {
		p, err := event.DecodePayload(tt.payload)
		if err != nil || len(p.Messages) != 1 {
			t.Errorf("%s: %v, %d messages", name, err, len(p.Messages))
			continue
		}
		m := p.Messages[0]
		if m.Err != nil || p.Queue != tt.queue || !reflect.DeepEqual(m.Request, tt.want) {
			t.Errorf("%s: queue %v, %+v, %v\nwant queue %v, %+v", name, p.Queue, m.Request, m.Err, tt.queue, tt.want)
		}
		if tt.queue && m.ID != "m0" {
			t.Errorf("%s: message %q", name, m.ID)
		}
		if tt.queue {
			continue
		}
		tt.want.Direct = false
		if m := event.DecodeMessage(tt.payload); !reflect.DeepEqual(m, event.Message{Request: tt.want}) {
			t.Errorf("%s as a message: %+v", name, m)
		}
	}
}

func TestEncodedRequestsDecodeToThemselves(t *testing.T) {
	t.Parallel()
	odd := upload
	odd.Key = "a b+c%41#?&\"'<>{}/../ü😀\u200f.mov"
	unknown := upload
	unknown.Size, unknown.VersionID = media.UnknownSize, ""
	for _, r := range []event.Request{
		{Upload: upload},
		{Upload: odd, Attempt: 3, Jobs: []string{"video", "audio"}},
		{Upload: unknown},
	} {
		for _, detailType := range []string{event.Backfill, event.Redrive, event.Retry} {
			payload, err := event.EncodeRequest(detailType, r)
			if err != nil {
				t.Fatal(err)
			}
			p, err := event.DecodePayload(payload)
			if err != nil || p.Messages[0].Err != nil || !reflect.DeepEqual(p.Messages[0].Request, r) {
				t.Errorf("%s of %+v comes back as %+v, %v, %v", detailType, r, p.Messages[0].Request, err, p.Messages[0].Err)
			}
		}
	}
}

// A probe has no upload in any form, whatever else its detail says.
func TestProbes(t *testing.T) {
	t.Parallel()
	probe := string(read(t, "probe.json"))
	payload, err := event.EncodeProbe("4SGKL2M7QJ", upload.Time)
	if err != nil {
		t.Fatal(err)
	}
	object := strings.Replace(string(read(t, "retry.json")), `"Retry"`, `"Probe"`, 1)
	for name, tt := range map[string]struct {
		payload []byte
		queue   bool
	}{
		"direct":                   {payload: []byte(probe)},
		"ours":                     {payload: payload},
		"in the queue":             {payload: batch(t, probe), queue: true},
		"in Lambda's envelope":     {payload: batch(t, `{"requestPayload":`+probe+`}`), queue: true},
		"with an upload beside it": {payload: []byte(strings.Replace(object, `"attempt": 2`, `"probe": "4SGKL2M7QJ"`, 1))},
	} {
		p, err := event.DecodePayload(tt.payload)
		if err != nil || len(p.Messages) != 1 || p.Queue != tt.queue {
			t.Errorf("%s: %v, %+v", name, err, p)
			continue
		}
		m := p.Messages[0]
		if m.Probe != "4SGKL2M7QJ" || m.Err != nil || !reflect.DeepEqual(m.Request, event.Request{}) {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestUnreadablePayloads(t *testing.T) {
	t.Parallel()
	payload := string(read(t, "s3_object_created.json"))
	without := func(old, new string) string {
		if !strings.Contains(payload, old) {
			t.Fatalf("the event has no %s", old)
		}
		return strings.Replace(payload, old, new, 1)
	}
	for name, tt := range map[string]struct {
		payload string
		says    string
		upload  bool // the upload is named all the same
	}{
		"no JSON":          {payload: `{"source":`, says: "not an event"},
		"a list":           {payload: `[]`, says: "not an event"},
		"nothing":          {payload: `{}`, says: "neither S3's"},
		"another source":   {payload: without(`"aws.s3"`, `"aws.ec2"`), says: `"aws.ec2"`},
		"a deletion":       {payload: without("Object Created", "Object Deleted"), says: "Object Deleted"},
		"somebody else's":  {payload: strings.Replace(string(read(t, "retry.json")), "Retry", "Refund", 1), says: "Refund"},
		"no bucket":        {payload: without(`"name": "my-media-bucket"`, `"name": ""`), says: "bucket.name"},
		"no key":           {payload: without(`"key": "uploads/video.mov",`, ``), says: "object.key"},
		"detail of a kind": {payload: without(`"size": 5242880`, `"size": "large"`), says: "detail is unreadable"},
		"another's probe":  {payload: strings.Replace(string(read(t, "probe.json")), `"ittybit-media"`, `"somebody"`, 1), says: `"somebody"`},
		"no probe's id":    {payload: `{"source":"ittybit-media","detail-type":"Probe","detail":{}}`, says: "detail.probe"},
		"a probe's id":     {payload: strings.Replace(string(read(t, "probe.json")), "4SGKL2M7QJ", `a\"}`, 1), says: "detail.probe"},
		"a probe's detail": {payload: `{"source":"ittybit-media","detail-type":"Probe","detail":7}`, says: "probe's detail"},
		"negative attempt": {payload: strings.Replace(string(read(t, "retry.json")), `"attempt": 2`, `"attempt": -1`, 1), says: "attempt is -1", upload: true},
	} {
		p, err := event.DecodePayload([]byte(tt.payload))
		if err == nil && len(p.Messages) == 1 {
			err = p.Messages[0].Err
		}
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v does not say %q", name, err, tt.says)
		}
		if tt.upload && p.Messages[0].Request.Upload.Key != upload.Key {
			t.Errorf("%s: the upload is lost: %+v", name, p.Messages[0].Request.Upload)
		}
	}
}

func TestAnUnreadableMessageLeavesItsBatchAlone(t *testing.T) {
	t.Parallel()
	p, err := event.DecodePayload(batch(t, "not JSON", string(read(t, "s3_object_created.json")), `{"requestPayload": 7}`))
	if err != nil || len(p.Messages) != 3 {
		t.Fatal(err, p)
	}
	if p.Messages[0].Err == nil || p.Messages[2].Err == nil {
		t.Error("the unreadable messages have no error")
	}
	if p.Messages[1].Err != nil || p.Messages[1].Request.Upload != upload {
		t.Errorf("the readable message: %+v", p.Messages[1])
	}
	if _, err := event.DecodePayload([]byte(`{"Records":[{"eventSource":"aws:kinesis"}]}`)); err == nil || !strings.Contains(err.Error(), "Records[0]") {
		t.Errorf("another service's batch: %v", err)
	}
}

func TestWhatS3WritesDifferently(t *testing.T) {
	t.Parallel()
	payload := strings.NewReplacer(
		`"IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"`, `"null"`, // an object made before versioning
		`"b1946ac92492d2347c6235b4d2611184"`, `"\"b1946ac92492d2347c6235b4d2611184\""`,
		`"size": 5242880,`, ``,
	).Replace(string(read(t, "s3_object_created.json")))
	p, err := event.DecodePayload([]byte(payload))
	if err != nil || p.Messages[0].Err != nil {
		t.Fatal(err, p.Messages)
	}
	got := p.Messages[0].Request.Upload
	if got.VersionID != "" || got.ETag != upload.ETag || got.Size != media.UnknownSize {
		t.Errorf("got %+v", got)
	}
}

// The guide's handlers read no more of an event than this.
func TestTheLeastThatAnEventSays(t *testing.T) {
	t.Parallel()
	p, err := event.DecodePayload([]byte(`{"source":"aws.s3","detail-type":"Object Created","detail":{"bucket":{"name":"my-media-bucket"},"object":{"key":"uploads/video.mov","size":5242880}}}`))
	if err != nil || p.Messages[0].Err != nil {
		t.Fatal(err, p.Messages)
	}
	if got, want := p.Messages[0].Request, (event.Request{Upload: media.Upload{Bucket: "my-media-bucket", Key: "uploads/video.mov", Size: 5242880}, Direct: true}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
