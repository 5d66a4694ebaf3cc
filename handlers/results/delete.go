package results

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Deleter deletes rows, which no Lambda function does.
type Deleter interface {
	// DeleteItem deletes an item, or nothing when there is none. It fails with
	// ConditionalCheckFailedException when the condition does not hold.
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// Delete deletes a row, by way of api, unless its job is not over: what becomes
// of that would have no row, or make another. It returns false if so. A row
// that is not there counts as deleted.
func (t *Table) Delete(ctx context.Context, api Deleter, row Row) (deleted bool, err error) {
	const doing = "deleting a row"
	if err := t.checkKeys(doing, row.Key, row.SortKey); err != nil {
		return false, err
	}
	const notOpen = "attribute_not_exists(#open)"
	_, err = api.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:                &t.name,
		Key:                      rowKey(row.Key, row.SortKey),
		ConditionExpression:      aws.String(notOpen),
		ExpressionAttributeNames: names(notOpen),
	})
	switch {
	case refused(err):
		return false, nil
	case err != nil:
		return false, t.explain(doing, "DeleteItem", err)
	}
	return true, nil
}

// DeleteLedger deletes the ledger of an upload, by way of api: dispatch then
// knows nothing of its jobs. One that is not there counts as deleted.
func (t *Table) DeleteLedger(ctx context.Context, api Deleter, key, upload string) error {
	const doing = "deleting the ledger of an upload"
	if err := t.checkKeys(doing, key, upload); err != nil {
		return err
	}
	_, err := api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: rowKey(key, ledgerPrefix+upload)})
	if err != nil {
		return t.explain(doing, "DeleteItem", err)
	}
	return nil
}
