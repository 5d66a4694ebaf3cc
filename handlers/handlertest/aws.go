// Package handlertest is what the tests of the handlers share: AWS as a
// function finds it, and a collector of what it writes.
package handlertest

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/secretsmanager"
	"ittybit-media/scripts/local/aws/ssm"
)

// TableName is the name of the results table.
const TableName = "media-results"

// AWS is an endpoint with the results table, secrets and parameters. It has
// none of the latter two yet. A GetItem or Query of the table that does not ask
// for consistency always sees rows as they were before their last change.
type AWS struct {
	*endpoint.Server
	Tables     *dynamodb.Database
	Secrets    *secretsmanager.Secrets
	Parameters *ssm.Parameters

	URL      string
	DynamoDB *awsdynamodb.Client
	Table    *results.Table // without a TTL
}

// New serves AWS on loopback until the test ends, as [Serve] does.
func New(t testing.TB) *AWS {
	t.Helper()
	a := &AWS{Server: endpoint.New(), Tables: dynamodb.New(), Secrets: secretsmanager.New(), Parameters: ssm.New()}
	a.Mount(a.Tables.API())
	a.Mount(a.Secrets.API())
	a.Mount(a.Parameters.API())
	a.URL = Serve(t, a)
	a.DynamoDB = dynamodb.Client(a.URL)
	if _, err := a.DynamoDB.CreateTable(t.Context(), results.CreateTableInput(TableName)); err != nil {
		t.Fatal(err)
	}
	a.Tables.Stale(func(r dynamodb.Read) bool { return r.Index == "" && r.Operation != "Scan" })
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

// Any fits every call.
func Any(endpoint.Call) bool { return true }

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

// Permutations yields every order of n things.
func Permutations(n int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		var extend func([]int) bool
		extend = func(order []int) bool {
			if len(order) == n {
				return yield(slices.Clone(order))
			}
			for i := range n {
				if !slices.Contains(order, i) && !extend(append(order, i)) {
					return false
				}
			}
			return true
		}
		extend(nil)
	}
}
