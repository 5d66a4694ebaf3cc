package eventbridge_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"testing"
	"time"

	"ittybit-media/scripts/local/aws/eventbridge"
)

func upload() eventbridge.Object {
	return eventbridge.Object{
		Account: "123456789012", Region: "us-east-1",
		Bucket: "media", Key: "uploads/a b+c & <é>.MOV",
		Size: 1 << 40, ETag: "b1946ac92492d2347c6235b4d2611184", Sequencer: "00617F08299329D189",
		Reason: "PutObject",
		Time:   time.Date(2024, 5, 1, 14, 0, 0, 999, time.FixedZone("", 7200)),
	}
}

// decode reads an event whose id is fine; it leaves that out.
func decode(t *testing.T, event []byte) map[string]any {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(event, &got); err != nil {
		t.Fatal(err)
	}
	if id, _ := got["id"].(string); !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("id %q is no UUID", id)
	}
	delete(got, "id")
	return got
}

func TestObjectCreated(t *testing.T) {
	t.Parallel()
	event := eventbridge.ObjectCreated(upload())
	got := decode(t, event)
	detail := got["detail"].(map[string]any)
	if request := detail["request-id"].(string); !regexp.MustCompile(`^[0-9A-Z]{16}$`).MatchString(request) {
		t.Errorf("request-id %q does not look like S3's", request)
	}
	delete(detail, "request-id")
	want := map[string]any{
		"version": "0", "detail-type": "Object Created", "source": "aws.s3",
		"account": "123456789012", "time": "2024-05-01T12:00:00Z", "region": "us-east-1",
		"resources": []any{"arn:aws:s3:::media"},
		"detail": map[string]any{
			"version": "0",
			"bucket":  map[string]any{"name": "media"},
			"object": map[string]any{
				"key": "uploads/a b+c & <é>.MOV", "size": float64(1 << 40),
				"etag": "b1946ac92492d2347c6235b4d2611184", "sequencer": "00617F08299329D189",
			},
			"requester": "123456789012", "source-ip-address": "127.0.0.1", "reason": "PutObject",
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if !bytes.Contains(event, []byte(`"uploads/a b+c & <é>.MOV"`)) {
		t.Errorf("the key is escaped: %s", event)
	}
}

func TestObjectCreatedWithAVersion(t *testing.T) {
	t.Parallel()
	o := upload()
	o.VersionID, o.SourceIP = "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", "192.0.2.1"
	first, second := eventbridge.ObjectCreated(o), eventbridge.ObjectCreated(o)
	if !bytes.Contains(first, []byte(`"version-id":"IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"`)) || !bytes.Contains(first, []byte(`"source-ip-address":"192.0.2.1"`)) {
		t.Errorf("version or address is missing: %s", first)
	}
	if bytes.Equal(first, second) {
		t.Error("two events are the same")
	}
}

func TestTheRuleOfThePipelineMatchesAnUpload(t *testing.T) {
	t.Parallel()
	pattern, err := eventbridge.Compile([]byte(`{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["media"]},"object":{"key":[{"suffix":{"equals-ignore-case":".mov"}}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if why := pattern.Explain(eventbridge.ObjectCreated(upload())); why != "" {
		t.Error(why)
	}
	other := upload()
	other.Key = "a.txt"
	const want = `detail.object.key "a.txt" matches none of suffix ".mov" in any case`
	if why := pattern.Explain(eventbridge.ObjectCreated(other)); why != want {
		t.Errorf("Explain = %q, want %q", why, want)
	}
}
