package dynamodb_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	localdynamodb "ittybit-media/scripts/local/aws/dynamodb"
)

// glance reads a row without asking for consistency.
func glance(t *testing.T, db *dynamodb.Client, pk, sk string) string {
	t.Helper()
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: tableName, Key: row{"pk": pk, "sk": sk}.item()})
	if err != nil {
		t.Fatal(err)
	}
	return text(out.Item)
}

func TestAStaleReadSeesRowsAsTheyWereBeforeTheirLastChange(t *testing.T) {
	t.Parallel()
	s, db := withTable(t)
	put(t, db, row{"pk": "a", "sk": "1", "n": 1}, row{"pk": "a", "sk": "3", "n": 1})
	s.Stale(func(localdynamodb.Read) bool { return true })
	if got := glance(t, db, "a", "1"); got != "n=1 pk=a sk=1" {
		t.Errorf("a row that was there before: %q", got)
	}

	put(t, db, row{"pk": "a", "sk": "1", "n": 2}, row{"pk": "a", "sk": "2"})
	put(t, db, row{"pk": "a", "sk": "1", "n": 2}) // no change
	if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: tableName, Key: row{"pk": "a", "sk": "3"}.item()}); err != nil {
		t.Fatal(err)
	}
	for sk, want := range map[string]struct{ stale, now string }{
		"1": {"n=1 pk=a sk=1", "n=2 pk=a sk=1"},
		"2": {"", "pk=a sk=2"},
		"3": {"n=1 pk=a sk=3", ""},
	} {
		if got := glance(t, db, "a", sk); got != want.stale {
			t.Errorf("a stale read of %s: %q, want %q", sk, got, want.stale)
		}
		if got := get(t, db, "a", sk); got != want.now {
			t.Errorf("a consistent read of %s: %q, want %q", sk, got, want.now)
		}
	}
	for consistent, want := range map[bool]string{
		false: "n=1 pk=a sk=1, n=1 pk=a sk=3",
		true:  "n=2 pk=a sk=1, pk=a sk=2",
	} {
		in := ask("pk = :p", row{":p": "a"}, func(in *dynamodb.QueryInput) { in.ConsistentRead = &consistent })
		if out, err := db.Query(t.Context(), in); err != nil || strings.Join(texts(out.Items), ", ") != want {
			t.Errorf("a query, consistent %t: %v, %v, want %s", consistent, out, err, want)
		}
	}
	if _, err := update(t, db, "SET n = :n", "n = :was", row{":n": 3, ":was": 2}, ""); err != nil {
		t.Errorf("a condition is checked on the row as it is: %v", err)
	}
	s.Stale(nil)
	if got := glance(t, db, "a", "1"); got != "n=3 pk=a sk=1" {
		t.Errorf("with staleness off: %q", got)
	}
}

func TestReadsOfAnIndexMayBeStaleAlone(t *testing.T) {
	t.Parallel()
	s, db := withTable(t)
	s.Stale(func(r localdynamodb.Read) bool {
		return r == localdynamodb.Read{Operation: "Query", Index: "open", Key: "1"}
	})
	put(t, db, row{"pk": "a", "sk": "1", "open": "1", "check_at": 1})
	out, err := db.Query(t.Context(), ask("#open = :o", row{":o": "1"}, open))
	if err != nil || out.Count != 0 {
		t.Errorf("the index has %v, %v", out, err)
	}
	if got := glance(t, db, "a", "1"); got == "" {
		t.Error("the table is stale, too")
	}
}

func TestAPartitionKeyTakesSoManyWritesASecond(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rows   []row  // the last is too much
		reason string // and resource
	}{
		"one key of the table": {
			[]row{{"pk": "a", "sk": "1"}, {"pk": "a", "sk": "2"}, {"pk": "b", "sk": "1"}, {"pk": "a", "sk": "3"}, {"pk": "a", "sk": "4"}},
			"TableWriteKeyRangeThroughputExceeded table/rows",
		},
		"a kilobyte is a unit": {
			[]row{{"pk": "a", "sk": "1", "x": strings.Repeat("x", 2<<10)}, {"pk": "a", "sk": "1"}},
			"TableWriteKeyRangeThroughputExceeded table/rows",
		},
		"one key of an index": {
			[]row{
				{"pk": "a", "sk": "1", "open": "1", "check_at": 1}, {"pk": "b", "sk": "1", "open": "1", "check_at": 2},
				{"pk": "c", "sk": "1"}, {"pk": "d", "sk": "1", "open": "2", "check_at": 3},
				{"pk": "a", "sk": "1", "open": "1", "check_at": 9},
			},
			"IndexWriteKeyRangeThroughputExceeded table/rows/index/",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, db := withTable(t)
			now := time.Unix(100, 0)
			s.LimitWrites(3, func() time.Time { return now })
			last := len(tc.rows) - 1
			put(t, db, tc.rows[:last]...)
			in := &dynamodb.PutItemInput{TableName: tableName, Item: tc.rows[last].item()}
			_, err := db.PutItem(t.Context(), in, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
			reason, resource, _ := strings.Cut(tc.reason, " ")
			var hot *types.ProvisionedThroughputExceededException
			if !errors.As(err, &hot) || len(hot.ThrottlingReasons) != 1 ||
				aws.ToString(hot.ThrottlingReasons[0].Reason) != reason || !strings.Contains(aws.ToString(hot.ThrottlingReasons[0].Resource), resource) {
				t.Fatalf("the write that is too much: %v, want %s", err, tc.reason)
			}
			if got := get(t, db, tc.rows[last]["pk"].(string), tc.rows[last]["sk"].(string)); got == text(tc.rows[last].item()) {
				t.Errorf("it was stored: %q", got)
			}
			now = now.Add(time.Second)
			put(t, db, tc.rows[last])
		})
	}
}
