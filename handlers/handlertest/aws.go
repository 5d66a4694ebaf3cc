// Package handlertest is what the tests of the handlers share: AWS as a function
// finds it, and a collector of what it writes.
package handlertest

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/secretsmanager"
	"ittybit-media/scripts/local/aws/ssm"
)

// TableName is the name of the results table.
const TableName = "media-results"

// AWS is an endpoint with the results table, secrets and parameters. It has none
// of the latter two yet.
type AWS struct {
	*endpoint.Server
	Secrets    *secretsmanager.Secrets
	Parameters *ssm.Parameters

	URL      string
	DynamoDB *awsdynamodb.Client
	Table    *results.Table // without a TTL
}

// New serves AWS on loopback until the test ends, as [Serve] does.
func New(t testing.TB) *AWS {
	t.Helper()
	tables := dynamodb.New()
	a := &AWS{Server: endpoint.New(), Secrets: secretsmanager.New(), Parameters: ssm.New()}
	a.Mount(tables.API())
	a.Mount(a.Secrets.API())
	a.Mount(a.Parameters.API())
	a.URL = Serve(t, a)
	a.DynamoDB = dynamodb.Client(a.URL)
	if _, err := a.DynamoDB.CreateTable(t.Context(), results.CreateTableInput(TableName)); err != nil {
		t.Fatal(err)
	}
	a.Table = results.New(a.DynamoDB, TableName, results.Options{})
	return a
}

// Serve serves h on loopback until the test ends, and returns its URL. Every
// connection closes after its answer: nothing then waits on the network in a
// synctest bubble while its clock is to move. It must be called outside of the
// bubble.
func Serve(t testing.TB, h http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.SetKeepAlivesEnabled(false)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// CallsTo counts the calls to a service so far.
func (a *AWS) CallsTo(service string) int {
	n := 0
	for name, count := range a.Calls() {
		if strings.HasPrefix(name, service+".") {
			n += count
		}
	}
	return n
}

// Fail answers the calls that fit with the faults, in their order; the last one
// goes on. A nil fault lets a call through.
func (a *AWS) Fail(fits func(endpoint.Call) bool, faults ...*endpoint.Fault) {
	var calls atomic.Int64
	a.Intercept(func(_ context.Context, c endpoint.Call) error {
		if !fits(c) {
			return nil
		}
		if fault := faults[min(int(calls.Add(1)), len(faults))-1]; fault != nil {
			return fault
		}
		return nil
	})
}

// Operation fits the calls of one operation.
func Operation(name string) func(endpoint.Call) bool {
	return func(c endpoint.Call) bool { return c.Operation == name }
}

// Service fits the calls of one service.
func Service(name string) func(endpoint.Call) bool {
	return func(c endpoint.Call) bool { return c.Service == name }
}

// Env is the environment of a function.
type Env map[string]string

// Env returns what every function's environment has.
func (a *AWS) Env() Env {
	return Env{
		"AWS_REGION":            "us-east-1",
		"AWS_ACCESS_KEY_ID":     "AKIDTEST",
		"AWS_SECRET_ACCESS_KEY": "private",
		"AWS_ENDPOINT_URL":      a.URL,
		env.TableName:           TableName,
	}
}

// With returns the environment with pairs of names and values set in it.
func (e Env) With(pairs ...string) Env {
	e = maps.Clone(e)
	for pair := range slices.Chunk(pairs, 2) {
		e[pair[0]] = pair[1]
	}
	return e
}

// Get returns a variable, "" when it is not set.
func (e Env) Get(name string) string { return e[name] }

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

// Delete deletes a row, whatever its state: as DynamoDB does at its time.
func (a *AWS) Delete(t testing.TB, row results.Row) {
	t.Helper()
	key := map[string]types.AttributeValue{
		results.PartitionKey: &types.AttributeValueMemberS{Value: row.Key},
		results.SortKey:      &types.AttributeValueMemberS{Value: row.SortKey},
	}
	if _, err := a.DynamoDB.DeleteItem(t.Context(), &awsdynamodb.DeleteItemInput{TableName: aws.String(TableName), Key: key}); err != nil {
		t.Fatal(err)
	}
}
