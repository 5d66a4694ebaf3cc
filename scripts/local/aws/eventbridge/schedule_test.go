package eventbridge_test

import (
	"reflect"
	"testing"
	"time"

	"ittybit-media/scripts/local/aws/eventbridge"
)

func TestScheduled(t *testing.T) {
	t.Parallel()
	event := eventbridge.Scheduled(eventbridge.Schedule{
		Account: "123456789012", Region: "us-east-1", ARN: "arn:aws:events:us-east-1:123456789012:rule/sweep",
		Time: time.Date(2024, 5, 1, 14, 0, 0, 0, time.FixedZone("", 7200)),
	})
	got := decode(t, event)
	want := map[string]any{
		"version": "0", "detail-type": "Scheduled Event", "source": "aws.events",
		"account": "123456789012", "time": "2024-05-01T12:00:00Z", "region": "us-east-1",
		"resources": []any{"arn:aws:events:us-east-1:123456789012:rule/sweep"}, "detail": map[string]any{},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("event %v\nwant %v", got, want)
	}
}
