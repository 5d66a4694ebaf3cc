package dynamodb_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
)

// ask makes a query of the partition a with a condition and values.
func ask(condition string, values row, change ...func(*dynamodb.QueryInput)) *dynamodb.QueryInput {
	in := &dynamodb.QueryInput{TableName: tableName, KeyConditionExpression: &condition, ExpressionAttributeValues: values.item()}
	for _, c := range change {
		c(in)
	}
	return in
}

func open(in *dynamodb.QueryInput) {
	in.IndexName = aws.String("open")
	in.ExpressionAttributeNames = map[string]string{"#open": "open"}
}

func filter(f string) func(*dynamodb.QueryInput) {
	return func(in *dynamodb.QueryInput) { in.FilterExpression = &f }
}

func backward(in *dynamodb.QueryInput) { in.ScanIndexForward = aws.Bool(false) }

func TestQuery(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	for _, sk := range []string{"task#2", "task#1", "upload#1", "task#10"} {
		put(t, db, row{"pk": "a", "sk": sk, "n": len(sk)}, row{"pk": "b", "sk": sk})
	}
	put(t, db,
		row{"pk": "x", "sk": "1", "open": "1", "check_at": 90, "job": "video"},
		row{"pk": "x", "sk": "2", "open": "1", "check_at": 100},
		row{"pk": "y", "sk": "1", "open": "1", "check_at": 9},
		row{"pk": "z", "sk": "1", "open": "0", "check_at": &types.AttributeValueMemberN{Value: "1.5"}},
		row{"pk": "z", "sk": "2", "open": "0", "check_at": &types.AttributeValueMemberN{Value: "-2"}},
		row{"pk": "z", "sk": "3", "open": "0", "check_at": &types.AttributeValueMemberN{Value: "1e1"}},
		row{"pk": "y", "sk": "2", "open": "1", "check_at": 100, "extra": "e"},
		row{"pk": "y", "sk": "3", "open": "1"},
		row{"pk": "y", "sk": "4", "check_at": 1},
	)
	for _, tc := range []struct {
		name string
		in   *dynamodb.QueryInput
		want []string // sort keys, of an index partition keys too
	}{
		{"partition", ask("pk = :p", row{":p": "a"}), []string{"a task#1", "a task#10", "a task#2", "a upload#1"}},
		{"backward", ask("pk = :p", row{":p": "a"}, backward), []string{"a upload#1", "a task#2", "a task#10", "a task#1"}},
		{"prefix", ask("pk = :p AND begins_with(sk, :s)", row{":p": "a", ":s": "upload#"}), []string{"a upload#1"}},
		{"one row", ask("pk = :p AND sk = :s", row{":p": "a", ":s": "task#2"}), []string{"a task#2"}},
		{"range", ask("pk = :p AND sk BETWEEN :s AND :u", row{":p": "a", ":s": "task#10", ":u": "task#2"}), []string{"a task#10", "a task#2"}},
		{"filter", ask("pk = :p", row{":p": "a", ":n": 6}, filter("n > :n")), []string{"a task#10", "a upload#1"}},
		{"nothing", ask("pk = :p", row{":p": "none"}), nil},
		{"sparse index, numbers in order", ask("#open = :o", row{":o": "1"}, open), []string{"y 1", "x 1", "x 2", "y 2"}},
		{"fractions in order", ask("#open = :o", row{":o": "0"}, open), []string{"z 2", "z 1", "z 3"}},
		{"index backward", ask("#open = :o", row{":o": "1"}, open, backward), []string{"y 2", "x 2", "x 1", "y 1"}},
		{"index range", ask("#open = :o AND check_at <= :t", row{":o": "1", ":t": 90}, open), []string{"y 1", "x 1"}},
		{"index filter", ask("#open = :o", row{":o": "1", ":e": "e"}, open, filter("extra = :e")), []string{"y 2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for limit := range int32(5) {
				in := *tc.in
				if limit > 0 {
					in.Limit = &limit
				}
				var got []string
				pages := dynamodb.NewQueryPaginator(db, &in)
				for n := 0; pages.HasMorePages(); n++ {
					page, err := pages.NextPage(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if limit > 0 && page.ScannedCount > limit || int(page.Count) != len(page.Items) {
						t.Fatalf("limit %d: scanned %d, count %d, %d items", limit, page.ScannedCount, page.Count, len(page.Items))
					}
					for _, it := range page.Items {
						got = append(got, it["pk"].(*types.AttributeValueMemberS).Value+" "+it["sk"].(*types.AttributeValueMemberS).Value)
					}
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("limit %d: %q, want %q", limit, got, tc.want)
				}
			}
		})
	}
	lean, err := db.Query(t.Context(), ask("#open = :o AND check_at = :t", row{":o": "1", ":t": 90}, open, func(in *dynamodb.QueryInput) { in.IndexName = aws.String("lean") }))
	if err != nil || !slices.Equal(texts(lean.Items), []string{"check_at=90 job=video open=1 pk=x sk=1"}) {
		t.Errorf("lean: %v, %v", lean, err)
	}
	projected, err := db.Query(t.Context(), ask("pk = :p AND sk = :s", row{":p": "a", ":s": "task#2"}, func(in *dynamodb.QueryInput) { in.ProjectionExpression = aws.String("sk, n") }))
	if err != nil || !slices.Equal(texts(projected.Items), []string{"n=6 sk=task#2"}) {
		t.Errorf("projection: %v, %v", projected, err)
	}
}

// TestIndexFollowsUpdates is what minidyn's own tables fail.
func TestIndexFollowsUpdates(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	set := func(pk, expression string, values row) {
		t.Helper()
		_, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: tableName, Key: row{"pk": pk, "sk": "s"}.item(), UpdateExpression: &expression,
			ExpressionAttributeNames: map[string]string{"#open": "open"}, ExpressionAttributeValues: values.item(),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	list := func() (got []string) {
		t.Helper()
		out, err := db.Query(t.Context(), ask("#open = :o", row{":o": "1"}, open))
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range out.Items {
			got = append(got, it["pk"].(*types.AttributeValueMemberS).Value)
		}
		return got
	}
	for i := range 4 {
		set(fmt.Sprint("k", i), "SET #open = :o, check_at = :t", row{":o": "1", ":t": 100 - i})
	}
	if got := list(); !slices.Equal(got, []string{"k3", "k2", "k1", "k0"}) {
		t.Errorf("after upserts: %q", got)
	}
	set("k2", "SET done = :d REMOVE #open, check_at", row{":d": "1"})
	set("k3", "SET check_at = :t, #open = :o", row{":t": 1000, ":o": "1"})
	if got := list(); !slices.Equal(got, []string{"k1", "k0", "k3"}) {
		t.Errorf("after updates: %q", got)
	}
	set("k2", "SET #open = :o, check_at = :t", row{":o": "1", ":t": 1})
	if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: tableName, Key: row{"pk": "k1", "sk": "s"}.item()}); err != nil {
		t.Fatal(err)
	}
	if got := list(); !slices.Equal(got, []string{"k2", "k0", "k3"}) {
		t.Errorf("at the end: %q", got)
	}
}

func TestPagesEndAtOneMegabyte(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	payload := strings.Repeat("x", 300<<10)
	for i := range 7 {
		put(t, db, row{"pk": "a", "sk": fmt.Sprint(i), "payload": payload})
	}
	out, err := db.Query(t.Context(), ask("pk = :p", row{":p": "a", ":none": "none"}, filter("payload = :none")))
	if err != nil || len(out.Items) != 0 || len(out.LastEvaluatedKey) == 0 || out.ScannedCount >= 7 {
		t.Errorf("a page of %d rows, %d of them shown, last %v: %v", out.ScannedCount, len(out.Items), out.LastEvaluatedKey, err)
	}
	rows, pages := 0, 0
	for p := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: tableName}); p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rows += len(page.Items)
	}
	if rows != 7 || pages < 2 {
		t.Errorf("%d rows in %d pages", rows, pages)
	}
}

func TestScan(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	for i := range 9 {
		put(t, db, row{"pk": fmt.Sprint("p", i%3), "sk": fmt.Sprint(i), "n": i})
	}
	seen := map[string]int{}
	p := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{
		TableName: tableName, Limit: aws.Int32(2), FilterExpression: aws.String("n >= :n"), ExpressionAttributeValues: row{":n": 4}.item(),
	})
	for p.HasMorePages() {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range page.Items {
			seen[text(it)]++
		}
	}
	if len(seen) != 5 {
		t.Errorf("seen %v", seen)
	}
	for it, n := range seen {
		if n != 1 {
			t.Errorf("%s seen %d times", it, n)
		}
	}
}

func TestQueriesThatAWSRefuses(t *testing.T) {
	t.Parallel()
	_, db := withTable(t)
	put(t, db, row{"pk": "a", "sk": "1"})
	for name, in := range map[string]*dynamodb.QueryInput{
		"no partition key":       ask("sk = :s", row{":s": "1"}),
		"not equal":              ask("pk > :p", row{":p": "a"}),
		"or":                     ask("pk = :p OR sk = :p", row{":p": "a"}),
		"another attribute":      ask("pk = :p AND n = :p", row{":p": "a"}),
		"two on the sort key":    ask("pk = :p AND sk > :p AND sk < :q", row{":p": "a", ":q": "b"}),
		"key in the filter":      ask("pk = :p", row{":p": "a"}, filter("sk = :p")),
		"unknown index":          ask("pk = :p", row{":p": "a"}, func(in *dynamodb.QueryInput) { in.IndexName = aws.String("none") }),
		"consistent index":       ask("#open = :p", row{":p": "a"}, open, func(in *dynamodb.QueryInput) { in.ConsistentRead = aws.Bool(true) }),
		"value of another type":  ask("pk = :p", row{":p": 1}),
		"start key without sort": ask("pk = :p", row{":p": "a"}, func(in *dynamodb.QueryInput) { in.ExclusiveStartKey = row{"pk": "a"}.item() }),
		"limit 0":                ask("pk = :p", row{":p": "a"}, func(in *dynamodb.QueryInput) { in.Limit = aws.Int32(0) }),
		"syntax":                 ask("pk = ", row{}),
	} {
		if _, err := db.Query(t.Context(), in); endpointtest.Code(err) != "ValidationException" {
			t.Errorf("%s: %v, want a ValidationException", name, err)
		}
	}
}
