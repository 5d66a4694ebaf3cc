package eventbridge_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"ittybit-media/scripts/local/aws/eventbridge"
)

func TestEventsOfABusAndASchedule(t *testing.T) {
	t.Parallel()
	const account, region, rule = "123456789012", "us-east-1", "arn:aws:events:us-east-1:123456789012:rule/sweep"
	at := time.Date(2024, 5, 1, 14, 0, 0, 0, time.FixedZone("", 7200))
	for name, tt := range map[string]struct {
		event []byte
		want  map[string]any // beside what all have
	}{
		"custom": {
			eventbridge.Custom(eventbridge.Entry{Account: account, Region: region, Source: "shop", DetailType: "Order <Placed>", Detail: json.RawMessage(`{"id":"1"}`), Time: at}),
			map[string]any{"detail-type": "Order <Placed>", "source": "shop", "resources": []any{}, "detail": map[string]any{"id": "1"}},
		},
		"scheduled": {
			eventbridge.Scheduled(eventbridge.Schedule{Account: account, Region: region, ARN: rule, Time: at}),
			map[string]any{"detail-type": "Scheduled Event", "source": "aws.events", "resources": []any{rule}, "detail": map[string]any{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.want["version"], tt.want["account"], tt.want["region"], tt.want["time"] = "0", account, region, "2024-05-01T12:00:00Z"
			if got := decode(t, tt.event); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("event %v\nwant %v", got, tt.want)
			}
		})
	}
}
