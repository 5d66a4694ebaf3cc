package results_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

// A row that cannot be decoded comes with its keys, and keeps no other row from
// being read.
func TestUnreadableRowIsPassedOver(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	for _, id := range []string{"early", "late", "poisoned"} {
		f.queued(t, refTo("video", 0), media.Result{JobID: id})
	}
	f.set(t, "early", "check_at", &types.AttributeValueMemberN{Value: "1"})
	f.set(t, "poisoned", "check_at", &types.AttributeValueMemberN{Value: "2"})
	f.set(t, "poisoned", "attempt", &types.AttributeValueMemberS{Value: "first"})
	var got []string
	for row, err := range f.OverdueRows(t.Context(), start.Add(time.Hour)) {
		if row.Key != upload.Key || (err != nil) != (row.SortKey == "task#poisoned") {
			t.Errorf("row %s under key %q: %v", row.SortKey, row.Key, err)
		}
		if err != nil {
			if !errors.Is(err, results.ErrUnreadable) || !strings.Contains(err.Error(), "task#poisoned under key "+strconv.Quote(upload.Key)) {
				t.Errorf("the error is %v", err)
			}
		}
		got = append(got, row.SortKey)
	}
	if want := []string{"task#early", "task#poisoned", "task#late"}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

// A row moves in the index whichever part of the index it is in.
func TestRescheduleDoesNotDependOnTheIndexKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	f.queued(t, refTo("video", 0), queued)
	f.set(t, jobID, "open", &types.AttributeValueMemberS{Value: "7"})
	moved, err := f.Reschedule(t.Context(), upload.Key, jobID, start.Add(time.Hour))
	if row := f.row(t); err != nil || !moved || row.CheckAt != ms(start.Add(time.Hour)) || row.Open != "7" {
		t.Errorf("moved %v, %v: %s", moved, err, asJSON(t, row))
	}
}

// set sets an attribute of a job's row.
func (f *fixture) set(t *testing.T, id, attribute string, value types.AttributeValue) {
	t.Helper()
	_, err := f.client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName:                 aws.String(tableName),
		Key:                       map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: upload.Key}, "sk": &types.AttributeValueMemberS{Value: "task#" + id}},
		UpdateExpression:          aws.String("SET #a = :v"),
		ExpressionAttributeNames:  map[string]string{"#a": attribute},
		ExpressionAttributeValues: map[string]types.AttributeValue{":v": value},
	})
	if err != nil {
		t.Fatal(err)
	}
}
