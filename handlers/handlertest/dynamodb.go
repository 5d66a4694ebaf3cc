package handlertest

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/results"
)

// Rows returns the rows of a key, or all rows of the table for "".
func (a *AWS) Rows(t testing.TB, key string) []results.Row {
	t.Helper()
	seq := a.Table.RowsByState(t.Context(), a.DynamoDB, "")
	if key != "" {
		seq = a.Table.RowsByKey(t.Context(), key)
	}
	var rows []results.Row
	for row, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// Item returns a row as it stands in the table, nil when there is none.
func (a *AWS) Item(t testing.TB, key, sortKey string) map[string]types.AttributeValue {
	t.Helper()
	out, err := a.DynamoDB.GetItem(t.Context(), &awsdynamodb.GetItemInput{
		TableName:      aws.String(TableName),
		ConsistentRead: aws.Bool(true),
		Key:            rowKey(key, sortKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Item
}

// Delete deletes a row, whatever its state: as DynamoDB does at its time.
func (a *AWS) Delete(t testing.TB, key, sortKey string) {
	t.Helper()
	in := &awsdynamodb.DeleteItemInput{TableName: aws.String(TableName), Key: rowKey(key, sortKey)}
	if _, err := a.DynamoDB.DeleteItem(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func rowKey(key, sortKey string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		results.PartitionKey: &types.AttributeValueMemberS{Value: key},
		results.SortKey:      &types.AttributeValueMemberS{Value: sortKey},
	}
}

// Paged is DynamoDB with small pages. Some are empty: DynamoDB filters a page
// after it has read it.
type Paged struct {
	*awsdynamodb.Client
	T       testing.TB // told of queries that limit their pages themselves
	Size    int32
	Indexes []string // of the queries so far
}

// Query reads a small page.
func (p *Paged) Query(ctx context.Context, in *awsdynamodb.QueryInput, o ...func(*awsdynamodb.Options)) (*awsdynamodb.QueryOutput, error) {
	if in.Limit != nil {
		p.T.Errorf("a query has the limit %d", *in.Limit)
	}
	p.Indexes = append(p.Indexes, aws.ToString(in.IndexName))
	in.Limit = &p.Size
	return p.Client.Query(ctx, in, o...)
}

// Scan reads a small page.
func (p *Paged) Scan(ctx context.Context, in *awsdynamodb.ScanInput, o ...func(*awsdynamodb.Options)) (*awsdynamodb.ScanOutput, error) {
	if in.Limit != nil {
		p.T.Errorf("a scan has the limit %d", *in.Limit)
	}
	in.Limit = &p.Size
	return p.Client.Scan(ctx, in, o...)
}
