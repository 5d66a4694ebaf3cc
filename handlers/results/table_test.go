package results_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

const (
	tableName = "media-results"
	jobID     = "job_01h455vb4pex5vsknk084sn02q"
)

var (
	start  = time.Date(2026, 4, 3, 10, 0, 0, 0, time.UTC)
	upload = media.Upload{
		Bucket:    "my-media-bucket",
		Key:       "uploads/été #1 +%.mov",
		Size:      1234,
		ETag:      "0f343b0931126a20f133d67c2b018a3b",
		VersionID: "v7",
		Sequencer: "0055AED6DCD90281E5",
		Time:      start.Add(-2 * time.Second),
	}
)

// refTo is a job of the upload.
func refTo(job string, attempt int) media.JobRef {
	return media.JobRef{Bucket: upload.Bucket, Key: upload.Key, Upload: upload.ID(tableName), Job: job, Attempt: attempt}
}

// fixture is an empty table and the clock of who writes to it.
type fixture struct {
	*results.Table
	server *handlertest.AWS
	client *dynamodb.Client
	now    time.Time
}

// newFixture makes a table in a server of its own. The clock stands still until
// the test moves it.
func newFixture(t *testing.T, ttl time.Duration) *fixture {
	t.Helper()
	f := &fixture{server: handlertest.NewAWS(), now: start}
	srv := httptest.NewServer(f.server)
	t.Cleanup(srv.Close)
	f.client = client(srv.URL)
	if _, err := f.client.CreateTable(t.Context(), results.CreateTableInput(tableName)); err != nil {
		t.Fatal(err)
	}
	f.Table = results.New(strict{f.client, t}, tableName, results.Options{TTL: ttl})
	return f
}

func client(url string) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(url),
		Credentials:  credentials.NewStaticCredentialsProvider("id", "secret", ""),
		Retryer:      aws.NopRetryer{},
	})
}

// item is a row as it stands in the table, nil if there is none.
func (f *fixture) item(t *testing.T, key, sortKey string) map[string]types.AttributeValue {
	t.Helper()
	out, err := f.client.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName:      aws.String(tableName),
		ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: key},
			"sk": &types.AttributeValueMemberS{Value: sortKey},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Item
}

// remove deletes a row, as DynamoDB does at its time.
func (f *fixture) remove(t *testing.T, key, sortKey string) {
	t.Helper()
	if _, err := f.client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: aws.String(tableName),
		Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: key},
			"sk": &types.AttributeValueMemberS{Value: sortKey},
		},
	}); err != nil {
		t.Fatal(err)
	}
}

// row is the only row of the key, or the zero Row.
func (f *fixture) row(t *testing.T) results.Row {
	t.Helper()
	var found []results.Row
	for row, err := range f.Key(t.Context(), upload.Key) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, row)
	}
	switch len(found) {
	case 0:
		return results.Row{}
	case 1:
		return found[0]
	}
	t.Fatalf("%d rows, want one: %+v", len(found), found)
	panic("unreachable")
}

func (f *fixture) apply(t *testing.T, ref media.JobRef, r media.Result, mode results.Mode) results.Outcome {
	t.Helper()
	outcome, err := f.Apply(t.Context(), f.now, ref, r, mode)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

func (f *fixture) queued(t *testing.T, ref media.JobRef, r media.Result) (created bool) {
	t.Helper()
	created, err := f.Queued(t.Context(), f.now, upload, ref, r, f.now.Add(30*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func (f *fixture) overdue(t *testing.T, now time.Time) []results.Row {
	t.Helper()
	var found []results.Row
	for row, err := range f.Overdue(t.Context(), now) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, row)
	}
	return found
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// strict refuses what DynamoDB refuses and the emulator does not: names and
// values that are declared and not used or used and not declared, attributes
// that are named bare, an empty condition, empty keys.
type strict struct {
	results.DynamoDB
	t *testing.T
}

func (s strict) check(names map[string]string, values map[string]types.AttributeValue, expressions ...*string) {
	var words []string
	for _, e := range expressions {
		if e == nil {
			continue
		}
		if *e == "" {
			s.t.Error("an expression is empty")
		}
		words = append(words, strings.FieldsFunc(*e, func(r rune) bool { return strings.ContainsRune(" ,()=<>", r) })...)
	}
	used := map[string]bool{}
	keywords := "SET REMOVE ADD AND OR attribute_exists attribute_not_exists if_not_exists"
	for _, word := range words {
		_, named := names[word]
		_, valued := values[word]
		if !named && !valued && !strings.Contains(keywords, word) {
			s.t.Errorf("%q is not declared", word)
		}
		used[word] = true
	}
	for name := range names {
		if !used[name] {
			s.t.Errorf("name %q is not used", name)
		}
	}
	for value := range values {
		if !used[value] {
			s.t.Errorf("value %q is not used", value)
		}
	}
}

func (s strict) key(attributes map[string]types.AttributeValue, exactly bool) {
	for _, name := range []string{results.PartitionKey, results.SortKey} {
		if v, ok := attributes[name].(*types.AttributeValueMemberS); !ok || v.Value == "" {
			s.t.Errorf("key attribute %s is %v", name, attributes[name])
		}
	}
	if exactly && len(attributes) != 2 {
		s.t.Errorf("the key has %d attributes", len(attributes))
	}
}

func (s strict) GetItem(ctx context.Context, in *dynamodb.GetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	s.key(in.Key, true)
	s.check(in.ExpressionAttributeNames, nil, in.ProjectionExpression)
	return s.DynamoDB.GetItem(ctx, in, o...)
}

func (s strict) PutItem(ctx context.Context, in *dynamodb.PutItemInput, o ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	s.key(in.Item, false)
	s.check(in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ConditionExpression)
	return s.DynamoDB.PutItem(ctx, in, o...)
}

func (s strict) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	s.key(in.Key, true)
	s.check(in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.UpdateExpression, in.ConditionExpression)
	return s.DynamoDB.UpdateItem(ctx, in, o...)
}

func (s strict) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	s.check(in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.KeyConditionExpression, in.FilterExpression, in.ProjectionExpression)
	if in.IndexName != nil && aws.ToBool(in.ConsistentRead) {
		s.t.Error("a global index cannot be read consistently")
	}
	return s.DynamoDB.Query(ctx, in, o...)
}

// fake is a DynamoDB of functions; those that are nil go to the one beneath.
type fake struct {
	results.DynamoDB
	getItem    func(*dynamodb.GetItemInput) (*dynamodb.GetItemOutput, error)
	putItem    func(*dynamodb.PutItemInput) (*dynamodb.PutItemOutput, error)
	updateItem func(*dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error)
	query      func(*dynamodb.QueryInput) (*dynamodb.QueryOutput, error)
	scan       func(*dynamodb.ScanInput) (*dynamodb.ScanOutput, error)
}

func (f fake) GetItem(ctx context.Context, in *dynamodb.GetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	if f.getItem == nil {
		return f.DynamoDB.GetItem(ctx, in, o...)
	}
	return f.getItem(in)
}

func (f fake) PutItem(ctx context.Context, in *dynamodb.PutItemInput, o ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	if f.putItem == nil {
		return f.DynamoDB.PutItem(ctx, in, o...)
	}
	return f.putItem(in)
}

func (f fake) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	if f.updateItem == nil {
		return f.DynamoDB.UpdateItem(ctx, in, o...)
	}
	return f.updateItem(in)
}

func (f fake) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	if f.query == nil {
		return f.DynamoDB.Query(ctx, in, o...)
	}
	return f.query(in)
}

func (f fake) Scan(_ context.Context, in *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	return f.scan(in)
}
