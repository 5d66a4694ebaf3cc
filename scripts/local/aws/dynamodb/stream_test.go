package dynamodb_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
)

// record is one of the stream's, as far as the tests look at it.
type record struct {
	EventName      string
	EventSource    string
	EventSourceARN string
	DynamoDB       struct {
		Keys, OldImage, NewImage map[string]map[string]any
		SequenceNumber           string
		StreamViewType           string
	}
}

// images spells what a record says of a row.
func (r record) images() string {
	spell := func(image map[string]map[string]any) string {
		text, _ := json.Marshal(image)
		return string(text)
	}
	return fmt.Sprintf("%s %s: %s -> %s", r.EventName, spell(r.DynamoDB.Keys), spell(r.DynamoDB.OldImage), spell(r.DynamoDB.NewImage))
}

func TestTheStreamTellsOfChanges(t *testing.T) {
	t.Parallel()
	s, db := withTable(t)
	put(t, db, row{"pk": "a", "sk": "0", "v": "before anybody reads"})
	var records []record
	var order []string
	if err := s.Stream("rows", func(text []byte) {
		var r record
		if err := json.Unmarshal(text, &r); err != nil {
			t.Error(err)
		}
		records, order = append(records, r), append(order, r.DynamoDB.SequenceNumber)
	}); err != nil {
		t.Fatal(err)
	}

	put(t, db, row{"pk": "a", "sk": "1", "v": `<&">é`})
	put(t, db, row{"pk": "a", "sk": "1", "v": `<&">é`}) // no change
	for _, v := range []int{1, 1, 2} {
		if _, err := update(t, db, "SET n1 = :n REMOVE v", "", row{":n": v}, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := update(t, db, "SET n1 = :n", "attribute_not_exists(pk)", row{":n": 9}, ""); endpointtest.Code(err) != "ConditionalCheckFailedException" {
		t.Fatal(err)
	}
	get(t, db, "a", "1")
	for range 2 {
		if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: tableName, Key: row{"pk": "a", "sk": "1"}.item()}); err != nil {
			t.Fatal(err)
		}
	}

	const keys = `{"pk":{"S":"a"},"sk":{"S":"1"}}`
	image := func(rest string) string { return strings.Replace(keys, "{", "{"+rest, 1) }
	want := []string{
		`INSERT ` + keys + `: null -> {"pk":{"S":"a"},"sk":{"S":"1"},"v":{"S":"\u003c\u0026\"\u003eé"}}`,
		`MODIFY ` + keys + `: {"pk":{"S":"a"},"sk":{"S":"1"},"v":{"S":"\u003c\u0026\"\u003eé"}} -> ` + image(`"n1":{"N":"1"},`),
		`MODIFY ` + keys + `: ` + image(`"n1":{"N":"1"},`) + ` -> ` + image(`"n1":{"N":"2"},`),
		`REMOVE ` + keys + `: ` + image(`"n1":{"N":"2"},`) + ` -> null`,
	}
	var got []string
	for _, r := range records {
		got = append(got, r.images())
		if r.EventSource != "aws:dynamodb" || r.DynamoDB.StreamViewType != "NEW_AND_OLD_IMAGES" || !strings.Contains(r.EventSourceARN, ":table/rows/stream/") {
			t.Errorf("record %+v", r)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if !slices.IsSorted(order) || len(slices.Compact(order)) != len(records) {
		t.Errorf("sequence numbers %v", order)
	}
	if err := s.Stream("nothing", func([]byte) {}); err == nil {
		t.Error("a table that is not there has a stream")
	}
}

// The images of a row's records are those of one change after the other,
// whoever makes them.
func TestTheStreamIsInOrder(t *testing.T) {
	t.Parallel()
	s, db := withTable(t)
	last, changes := "", 0
	if err := s.Stream("rows", func(text []byte) {
		var r record
		if err := json.Unmarshal(text, &r); err != nil {
			t.Error(err)
		}
		before, _ := r.DynamoDB.OldImage["n1"]["N"].(string)
		if before != last {
			t.Errorf("a change of %q after one to %q", before, last)
		}
		last, _ = r.DynamoDB.NewImage["n1"]["N"].(string)
		changes++
	}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName: tableName, Key: row{"pk": "a", "sk": "1"}.item(), UpdateExpression: aws.String("ADD n1 :n"), ExpressionAttributeValues: row{":n": 1}.item(),
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if changes != 20 || last != "20" {
		t.Errorf("%d changes, up to %s", changes, last)
	}
}
