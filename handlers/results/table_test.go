package results_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	localdynamodb "ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/aws/endpoint"
)

const (
	tableName = handlertest.TableName
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

// refused is what DynamoDB answers when a condition does not hold.
var refused = &endpoint.Fault{Type: "ConditionalCheckFailedException"}

// fixture is an empty table and the clock of who writes to it.
type fixture struct {
	*results.Table
	aws    *handlertest.AWS
	client *dynamodb.Client // which does not try again
	now    time.Time
}

// newFixture makes a table in an AWS of its own. The clock stands still until the
// test moves it.
func newFixture(t *testing.T, ttl time.Duration) *fixture {
	t.Helper()
	f := &fixture{aws: handlertest.New(t), now: start}
	f.client = localdynamodb.Client(f.aws.URL, func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} })
	f.Table = results.New(f.client, tableName, results.Options{TTL: ttl})
	return f
}

// row is the only row of the key, or the zero Row.
func (f *fixture) row(t *testing.T) results.Row {
	t.Helper()
	found := f.aws.Rows(t, upload.Key)
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
	outcome, err := f.Apply(t.Context(), results.Report{At: f.now, Ref: ref, Result: r, Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

func (f *fixture) queued(t *testing.T, ref media.JobRef, r media.Result) (created bool) {
	t.Helper()
	created, err := f.InsertQueued(t.Context(), results.Dispatched{At: f.now, CheckAt: f.now.Add(30 * time.Minute), Upload: upload, Ref: ref, Result: r})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func (f *fixture) overdue(t *testing.T, now time.Time) []results.Row {
	t.Helper()
	var found []results.Row
	for row, err := range f.OverdueRows(t.Context(), now) {
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
