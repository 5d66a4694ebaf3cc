package eventbridge_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"ittybit-media/scripts/local/aws/eventbridge"
)

func TestCustom(t *testing.T) {
	t.Parallel()
	event := eventbridge.Custom(eventbridge.Entry{
		Account: "123456789012", Region: "us-east-1", Source: "shop", DetailType: "Order <Placed>", Detail: json.RawMessage(`{"id":"1"}`),
		Time: time.Date(2024, 5, 1, 14, 0, 0, 0, time.FixedZone("", 7200)),
	})
	got := decode(t, event)
	want := map[string]any{
		"version": "0", "detail-type": "Order <Placed>", "source": "shop",
		"account": "123456789012", "time": "2024-05-01T12:00:00Z", "region": "us-east-1",
		"resources": []any{}, "detail": map[string]any{"id": "1"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("event %v\nwant %v", got, want)
	}
}
