package dynamodb_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	localdynamodb "ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
)

// row is an item as the tests write it: strings are S, ints are N.
type row map[string]any

func (r row) item() map[string]types.AttributeValue {
	out := map[string]types.AttributeValue{}
	for name, v := range r {
		switch v := v.(type) {
		case int:
			out[name] = &types.AttributeValueMemberN{Value: strconv.Itoa(v)}
		case string:
			out[name] = &types.AttributeValueMemberS{Value: v}
		case types.AttributeValue:
			out[name] = v
		}
	}
	return out
}

// text spells an item in one line, sorted by name.
func text(it map[string]types.AttributeValue) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(it)) {
		switch v := it[name].(type) {
		case *types.AttributeValueMemberS:
			parts = append(parts, name+"="+v.Value)
		case *types.AttributeValueMemberN:
			parts = append(parts, name+"="+v.Value)
		default:
			parts = append(parts, fmt.Sprintf("%s=%T", name, v))
		}
	}
	return strings.Join(parts, " ")
}

func texts(items []map[string]types.AttributeValue) []string {
	var out []string
	for _, it := range items {
		out = append(out, text(it))
	}
	return out
}

var tableName = aws.String("rows")

// withTable has a table with a sparse index, as the product's.
func withTable(t *testing.T) (*localdynamodb.Database, *dynamodb.Client) {
	t.Helper()
	s := localdynamodb.New()
	_, client := endpointtest.Serve(t, s.API())
	db := dynamodb.NewFromConfig(client)
	_, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName:   tableName,
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("open"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("check_at"), AttributeType: types.ScalarAttributeTypeN},
		},
		KeySchema: keys("pk", "sk"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			{IndexName: aws.String("open"), KeySchema: keys("open", "check_at"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}},
			{IndexName: aws.String("lean"), KeySchema: keys("open", "check_at"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"job"}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, db
}

func keys(hash, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: &hash, KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange},
	}
}

func put(t *testing.T, db *dynamodb.Client, rows ...row) {
	t.Helper()
	for _, r := range rows {
		if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: tableName, Item: r.item()}); err != nil {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, db *dynamodb.Client, pk, sk string) string {
	t.Helper()
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: tableName, Key: row{"pk": pk, "sk": sk}.item(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	return text(out.Item)
}

// update runs an update expression on the row a/1.
func update(t *testing.T, db *dynamodb.Client, expression, condition string, values row, returns types.ReturnValue) (string, error) {
	t.Helper()
	in := &dynamodb.UpdateItemInput{
		TableName: tableName, Key: row{"pk": "a", "sk": "1"}.item(), UpdateExpression: &expression, ReturnValues: returns,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if condition != "" {
		in.ConditionExpression = &condition
	}
	if len(values) > 0 {
		in.ExpressionAttributeValues = values.item()
	}
	if strings.Contains(expression+condition, "#open") {
		in.ExpressionAttributeNames = map[string]string{"#open": "open"}
	}
	out, err := db.UpdateItem(t.Context(), in)
	if err != nil {
		return "", err
	}
	return text(out.Attributes), nil
}
