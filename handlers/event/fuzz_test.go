package event_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"ittybit-media/handlers/event"
)

// FuzzDecodePayload: whatever dispatch is sent, it does not panic, and what it
// can read it can send itself again, as the same upload.
func FuzzDecodePayload(f *testing.F) {
	for _, name := range []string{"s3_object_created.json", "lambda_failure_envelope.json", "retry.json", "probe.json"} {
		data := read(f, name)
		f.Add(data)
		body, err := json.Marshal(string(data))
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(`{"Records":[{"messageId":"1","eventSource":"aws:sqs","body":` + string(body) + `},{"messageId":"2","eventSource":"aws:sqs","body":"?"}]}`))
	}
	f.Add([]byte(`{"Records":null,"requestPayload":{"Records":[]}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		p, err := event.DecodePayload(payload)
		if err != nil {
			return
		}
		for _, m := range p.Messages {
			if m.Err != nil {
				continue
			}
			if m.Probe != "" {
				if !reflect.DeepEqual(m.Request, event.Request{}) {
					t.Errorf("the probe %q asks for %+v", m.Probe, m.Request)
				}
				continue
			}
			if m.Request.Upload.Bucket == "" || m.Request.Upload.Key == "" || m.Request.Attempt < 0 || p.Queue && m.Request.Direct {
				t.Errorf("accepted %+v", m.Request)
			}
			encoded, err := event.EncodeRequest(event.Redrive, m.Request)
			if err != nil {
				t.Fatal(err)
			}
			again, err := event.DecodePayload(encoded)
			if err != nil || again.Messages[0].Err != nil {
				t.Fatalf("%s: %v, %v", encoded, err, again.Messages[0].Err)
			}
			want, got := m.Request, again.Messages[0].Request
			if !got.Upload.Time.Equal(want.Upload.Time) || got.Upload.ID("t") != want.Upload.ID("t") {
				t.Errorf("%+v comes back as %+v", want.Upload, got.Upload)
			}
			want.Direct, want.Upload.Time = false, got.Upload.Time
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%+v comes back as %+v", want, got)
			}
		}
	})
}
