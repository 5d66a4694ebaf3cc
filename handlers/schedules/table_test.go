package schedules_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ittybit-media/handlers/results"
	"ittybit-media/handlers/schedules"
	"ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
)

const tableName = "results"

// table is the DynamoDB emulator with the results table, as a store.
type table struct {
	db    *dynamodb.Database
	stale int      // by how many writes a read may be late that does not ask for consistency
	past  []*table // as it was up to that many writes ago, the latest first
	text  string   // of all rows
	rows  []row
}

// row is a row's attributes that are strings or numbers.
type row map[string]string

// newTable returns an empty table.
func newTable(t *testing.T, stale int) *table {
	t.Helper()
	in, err := json.Marshal(results.CreateTableInput(tableName))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any // the SDK's inputs have more than was set
	if err := json.Unmarshal(in, &fields); err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(prune(fields))
	db := dynamodb.New()
	if r := callDatabase(db, "CreateTable", string(body)); r.Status != http.StatusOK {
		t.Fatal(r.Body)
	}
	return tableOf(db, stale, nil)
}

// prune leaves out what is null or empty.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, element := range v {
			if v[name] = prune(element); v[name] == nil {
				delete(v, name)
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	case string:
		if v == "" {
			return nil
		}
	}
	return v
}

func tableOf(db *dynamodb.Database, stale int, past []*table) *table {
	t := &table{db: db, stale: stale, past: past}
	t.text = callDatabase(db, "Scan", `{"TableName":"`+tableName+`"}`).Body
	var page struct{ Items []map[string]map[string]any }
	if err := json.Unmarshal([]byte(t.text), &page); err != nil {
		panic(err)
	}
	for _, item := range page.Items {
		r := row{}
		for name, value := range item {
			for kind, v := range value {
				if kind == "S" || kind == "N" {
					r[name] = v.(string)
				}
			}
		}
		t.rows = append(t.rows, r)
	}
	return t
}

const dynamoDBTarget = "DynamoDB_20120810."

func callDatabase(db *dynamodb.Database, operation, body string) schedules.Response {
	e := endpoint.New()
	e.Mount(db.API())
	req := httptest.NewRequest(http.MethodPost, "http://dynamodb.test/", strings.NewReader(body))
	req.Header.Set("X-Amz-Target", dynamoDBTarget+operation)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, req)
	return schedules.Response{Status: w.Code, Header: w.Header(), Body: w.Body.String()}
}

func (t *table) Key() string {
	key := fmt.Sprintln(t.stale) + t.text
	for _, earlier := range t.past {
		key += earlier.text
	}
	return key
}

// Serve knows DynamoDB's operations, and DELETE /past, after which no read is
// late.
func (t *table) Serve(c schedules.Call) []schedules.Outcome {
	if c.Method == http.MethodDelete {
		return []schedules.Outcome{{Response: schedules.Response{Status: http.StatusNoContent}, Store: tableOf(t.db, t.stale, nil)}}
	}
	if c.Target == "" { // a connection is opened ahead of the first call
		return []schedules.Outcome{{Response: schedules.Response{Status: http.StatusBadRequest}, Constant: true}}
	}
	operation := c.Operation()
	if operation == "GetItem" || operation == "Query" || operation == "Scan" {
		return t.read(operation, c.Body)
	}
	db := t.db.Clone()
	o := schedules.Outcome{Response: callDatabase(db, operation, c.Body)}
	after := tableOf(db, t.stale, nil)
	if after.text == t.text {
		return []schedules.Outcome{o}
	}
	if t.stale > 0 {
		before := *t
		before.past = nil
		after.past = append([]*table{&before}, t.past[:min(len(t.past), t.stale-1)]...)
	}
	o.Store = after
	return []schedules.Outcome{o}
}

func (t *table) read(operation, body string) []schedules.Outcome {
	all := []schedules.Outcome{{Response: callDatabase(t.db, operation, body)}}
	var in struct{ ConsistentRead bool }
	if json.Unmarshal([]byte(body), &in) == nil && !in.ConsistentRead {
		for i, earlier := range t.past {
			all = append(all, schedules.Outcome{Response: callDatabase(earlier.db, operation, body), Note: fmt.Sprintf("stale by %d", i+1)})
		}
	}
	return all
}

// Describe names the operation and the row.
func (t *table) Describe(c schedules.Call) string {
	var in struct {
		Key, Item                 map[string]any
		IndexName                 string
		ExpressionAttributeValues map[string]any
	}
	_ = json.Unmarshal([]byte(c.Body), &in)
	text := c.Operation()
	if in.IndexName != "" {
		return text + " of index " + in.IndexName
	}
	for _, item := range []map[string]any{in.Key, in.Item} {
		for _, name := range []string{results.PartitionKey, results.SortKey} {
			if value, ok := item[name].(map[string]any); ok {
				text += fmt.Sprint(" ", value["S"])
			}
		}
	}
	return text
}
