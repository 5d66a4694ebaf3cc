package results

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// DynamoDB is what a [Table] needs of *dynamodb.Client.
type DynamoDB interface {
	// GetItem reads one item. There is none in the output when there is no such
	// item.
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	// PutItem writes a whole item. It fails with
	// ConditionalCheckFailedException when the condition does not hold.
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	// UpdateItem changes an item, or makes it, and fails as PutItem does.
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	// Query reads one page of a key's items, or of the index.
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// Options are those of a [Table].
type Options struct {
	TTL time.Duration // how long rows stay after the end; 0: for ever
}

// Table is the results table. Many goroutines may use it at once. It has no
// clock: who writes says when.
type Table struct {
	api  DynamoDB
	name string
	ttl  time.Duration
}

// New uses the table of that name.
func New(api DynamoDB, name string, o Options) *Table {
	return &Table{api: api, name: name, ttl: o.TTL}
}

// Name is the table's name.
func (t *Table) Name() string { return t.name }

// expiry is when a row that is final now may go; 0 if it stays.
func (t *Table) expiry(now time.Time) Seconds {
	if t.ttl == 0 {
		return 0
	}
	return Seconds(now.Add(t.ttl).Unix())
}

// checkKeys refuses what DynamoDB would refuse with less to go by.
func (t *Table) checkKeys(doing string, keys ...string) error {
	for _, key := range keys {
		if key == "" {
			return fmt.Errorf("table %s: %s: the upload's key, its identity or the job's id is empty", t.name, doing)
		}
	}
	return nil
}

// put writes a whole row if the condition holds.
func (t *Table) put(ctx context.Context, doing string, row Row, condition string, values item) (stored bool, err error) {
	const action = "PutItem"
	attributes, err := row.attributes()
	if err != nil {
		return false, t.explain(doing, action, err)
	}
	_, err = t.api.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                 &t.name,
		Item:                      attributes,
		ConditionExpression:       &condition,
		ExpressionAttributeNames:  names(condition),
		ExpressionAttributeValues: values,
	})
	switch {
	case refused(err):
		return false, nil
	case err != nil:
		return false, t.explain(doing, action, err)
	}
	return true, nil
}

// update changes one row if the condition holds. It returns the row as it was
// before, which costs nothing extra.
func (t *Table) update(ctx context.Context, doing string, key item, u *update, condition string) (before Row, stored bool, err error) {
	const action = "UpdateItem"
	expression := u.String()
	out, err := t.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &t.name,
		Key:                       key,
		UpdateExpression:          &expression,
		ConditionExpression:       &condition,
		ExpressionAttributeNames:  names(expression, condition),
		ExpressionAttributeValues: u.values,
		ReturnValues:              types.ReturnValueAllOld,
	})
	if refused(err) {
		return Row{}, false, nil
	}
	if err == nil {
		err = unmarshal(out.Attributes, &before)
	}
	if err != nil {
		return Row{}, false, t.explain(doing, action, err)
	}
	return before, true, nil
}

func rowKey(key, sortKey string) item {
	return item{PartitionKey: text(key), SortKey: text(sortKey)}
}
