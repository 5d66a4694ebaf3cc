package dynamodb_test

import (
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	localdynamodb "ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
)

func TestBadTables(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	s := types.ScalarAttributeTypeS
	definitions := []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: s}, {AttributeName: aws.String("sk"), AttributeType: s}}
	for want, in := range map[string]*dynamodb.CreateTableInput{
		"ResourceInUseException": {TableName: tableName, AttributeDefinitions: definitions, KeySchema: keys("pk", "sk")},
		"ValidationException":    {TableName: aws.String("other"), AttributeDefinitions: append(definitions, types.AttributeDefinition{AttributeName: aws.String("unused"), AttributeType: s}), KeySchema: keys("pk", "sk")},
	} {
		if _, err := db.CreateTable(t.Context(), in); endpointtest.Code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: aws.String("other"), AttributeDefinitions: definitions[:1], KeySchema: keys("pk", "sk")}); endpointtest.Code(err) != "ValidationException" {
		t.Errorf("undefined key: %v", err)
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	s, db := withTable(t)
	put(t, db, row{"pk": "a", "sk": "1", "check_at": 7, "open": "1"})
	put(t, db, row{"pk": "a", "sk": "2"})
	put(t, db, row{"pk": "b", "sk": "1", "files": &types.AttributeValueMemberL{}})
	got := map[string]string{}
	s.Rows(*tableName, func(r localdynamodb.Row) {
		got[r.Text("pk")+r.Text("sk")] = r.Text("check_at") + r.Text("open") + r.Text("files") + r.Text("none")
	})
	if want := map[string]string{"a1": "71", "a2": "", "b1": ""}; !maps.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	s.Rows("none", func(localdynamodb.Row) { t.Error("a table that is not there has rows") })
}

// The heap is one for all tests, so this one does not run beside others.
func TestMemoryOfARow(t *testing.T) {
	s, db := withTable(t)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	wide := func(i int) row {
		r := row{"pk": fmt.Sprint("uploads/", i, ".mp4"), "sk": "task#1", "open": "1", "check_at": 1763942400000 + i}
		for n := range 20 {
			r[fmt.Sprint("attribute_", n)] = strings.Repeat("v", 40)
		}
		return r
	}
	put(t, db, wide(0))
	const rows = 500
	before := heap()
	for i := range rows {
		put(t, db, wide(i+1))
	}
	if per := (int64(heap()) - int64(before)) / rows; per > 20<<10 {
		t.Errorf("%d bytes for each row", per)
	} else {
		t.Logf("%d bytes for each row", per)
	}
	kept := 0
	if s.Rows(*tableName, func(localdynamodb.Row) { kept++ }); kept != rows+1 {
		t.Errorf("%d rows", kept)
	}
}
