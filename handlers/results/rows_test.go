package results_test

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/aws/endpoint"
)

func TestOnlyOpenJobsAreInTheIndex(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	note := func(id string, checkAt time.Time) {
		t.Helper()
		if _, err := f.InsertQueued(t.Context(), results.Dispatched{At: f.now, CheckAt: checkAt, Upload: upload, Ref: refTo(id, 0), Result: media.Result{JobID: id}}); err != nil {
			t.Fatal(err)
		}
	}
	due := func(now time.Time) (ids []string) {
		for _, row := range f.overdue(t, now) {
			ids = append(ids, row.JobID())
		}
		return ids
	}
	note("third", start.Add(3*time.Minute))
	note("first", start.Add(1*time.Minute))
	note("second", start.Add(2*time.Minute))
	f.apply(t, refTo("early", 0), media.Result{JobID: "early", State: media.Processing}, results.CreateOrUpdate)

	for _, test := range []struct {
		at   time.Duration
		want []string
	}{
		{at: -time.Millisecond},
		{at: 0, want: []string{"early"}},
		{at: time.Minute, want: []string{"early", "first"}},
		{at: time.Hour, want: []string{"early", "first", "second", "third"}},
	} {
		if got := due(start.Add(test.at)); !slices.Equal(got, test.want) {
			t.Errorf("overdue after %v: %v, want %v", test.at, got, test.want)
		}
	}

	if got, want := sortKeys(t, f.UnfinishedRows(t.Context())), []string{"task#early", "task#first", "task#second", "task#third"}; !slices.Equal(got, want) {
		t.Errorf("not over: %v, want %v", got, want)
	}

	// All that sweep needs is in the index.
	got := f.overdue(t, start.Add(time.Minute))[1]
	want := results.Row{
		Key: upload.Key, SortKey: "task#first", Description: results.Description{DispatchedAt: ms(start)}, State: "queued", Rank: new(0),
		Bucket: upload.Bucket, Upload: upload.ID(tableName), Job: "first", UpdatedAt: ms(start), Open: "1", CheckAt: ms(start.Add(time.Minute)),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("open job %s\nwant     %s", asJSON(t, got), asJSON(t, want))
	}

	// Every end takes a job out.
	for id, state := range map[string]media.State{"early": media.Succeeded, "first": media.Failed, "second": media.Cancelled, "third": media.InferredFailed} {
		f.apply(t, refTo(id, 0), media.Result{JobID: id, State: state}, results.UpdateOnly)
		stored := f.aws.Item(t, upload.Key, "task#"+id)
		if stored["open"] != nil || stored["check_at"] != nil {
			t.Errorf("%v: the row is still in the index: %v", state, stored)
		}
	}
	if got := due(start.Add(time.Hour)); len(got) > 0 {
		t.Errorf("jobs that are over are overdue: %v", got)
	}
	if got := sortKeys(t, f.UnfinishedRows(t.Context())); len(got) > 0 {
		t.Errorf("jobs that are over are not: %v", got)
	}
}

func TestReschedule(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	ref := refTo("video", 0)
	move := func(checkAt time.Time, want bool) {
		t.Helper()
		moved, err := f.Reschedule(t.Context(), ref.Key, jobID, checkAt)
		if err != nil || moved != want {
			t.Errorf("Reschedule = %v, %v, want %v", moved, err, want)
		}
	}
	move(start, false)
	if row := f.row(t); row.Key != "" {
		t.Fatalf("it made a row: %s", asJSON(t, row))
	}
	f.queued(t, ref, queued)
	move(start.Add(6*time.Hour), true)
	if row := f.row(t); row.CheckAt != ms(start.Add(6*time.Hour)) || row.UpdatedAt != ms(start) {
		t.Errorf("row = %s", asJSON(t, row))
	}
	f.apply(t, ref, processing, results.CreateOrUpdate)
	if row := f.row(t); row.CheckAt != ms(start.Add(6*time.Hour)) {
		t.Errorf("progress moved check_at: %s", asJSON(t, row))
	}
	f.apply(t, ref, succeeded, results.CreateOrUpdate)
	move(start, false)
	if row := f.row(t); row.CheckAt != 0 {
		t.Errorf("a job that is over has check_at: %s", asJSON(t, row))
	}
}

func TestARowTellsItsUpload(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	uploaded := func(sortKey string) media.Upload {
		t.Helper()
		for _, row := range f.aws.Rows(t, upload.Key) {
			if row.SortKey == sortKey {
				return row.Uploaded()
			}
		}
		t.Fatalf("there is no row %s", sortKey)
		panic("unreachable")
	}
	f.queued(t, refTo("video", 0), queued)
	want := upload
	want.Size = media.UnknownSize
	if got := uploaded("task#" + jobID); got != want {
		t.Errorf("a job's row: %+v, want %+v", got, want)
	}
	if _, err := f.Reject(t.Context(), f.now, upload, refTo("", 0), "no"); err != nil {
		t.Fatal(err)
	}
	if got := uploaded("upload#" + upload.ID(tableName)); got != upload {
		t.Errorf("a rejection: %+v, want %+v", got, upload)
	}
	// Nobody told a callback.
	f.apply(t, refTo("audio", 0), media.Result{JobID: "job_2", State: media.Failed}, results.CreateOrUpdate)
	if got := uploaded("task#job_2").ID(tableName); got == upload.ID(tableName) {
		t.Errorf("a callback's row tells its upload")
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	row := results.Row{UpdatedAt: 3000}
	if got := row.Since(); !got.Equal(time.Unix(3, 0)) {
		t.Errorf("updated: %v", got)
	}
	row.CreatedAt = 2000
	if got := row.Since(); !got.Equal(time.Unix(2, 0)) {
		t.Errorf("created: %v", got)
	}
	row.DispatchedAt = 4000
	if got := row.Since(); !got.Equal(time.Unix(4, 0)) {
		t.Errorf("dispatched: %v", got)
	}
	if got := (results.Row{}).Since(); !got.IsZero() {
		t.Errorf("unknown: %v", got)
	}
}

func TestRowsByState(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	// Nobody's upload can hide the day's count, nor be hidden by it.
	ref := media.JobRef{Bucket: "b", Key: "budget#", Upload: "u", Job: "video"}
	for i, state := range []media.State{media.Queued, media.InferredFailed, media.Failed, media.Succeeded} {
		f.apply(t, ref, media.Result{JobID: fmt.Sprint("job", i), State: state}, results.CreateOrUpdate)
	}
	if _, err := f.Reject(t.Context(), f.now, media.Upload{}, ref, "no"); err != nil {
		t.Fatal(err)
	}
	if err := f.AddJobs(t.Context(), start, 7); err != nil {
		t.Fatal(err)
	}
	for state, want := range map[string][]string{
		"queued":    {"task#job0"},
		"failed":    {"task#job1", "task#job2"},
		"succeeded": {"task#job3"},
		"rejected":  {"upload#u#video"},
		"":          {"task#job0", "task#job1", "task#job2", "task#job3", "upload#u#video"},
		"cancelled": nil,
	} {
		if got := sortKeys(t, f.RowsByState(t.Context(), f.client, state)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", state, got, want)
		}
	}
	if got := sortKeys(t, f.RowsByKey(t.Context(), ref.Key)); len(got) != 5 {
		t.Errorf("rows of the key: %v", got)
	}
}

func sortKeys(t *testing.T, rows iter.Seq2[results.Row, error]) (keys []string) {
	t.Helper()
	for row, err := range rows {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, row.SortKey)
	}
	slices.Sort(keys)
	return keys
}

// A page may be empty and still not be the last one.
func TestEveryPageIsRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	for _, id := range []string{"a", "b", "c"} {
		ref := refTo(id, 0)
		if id == "b" {
			ref.Upload = "another"
		}
		f.queued(t, ref, media.Result{JobID: id})
	}
	pages := &handlertest.Paged{Client: f.client, T: t, Size: 1}
	table := results.New(pages, tableName, results.Options{})
	want := []string{"task#a", "task#b", "task#c"}
	seq := table.RowsByKey(t.Context(), upload.Key)
	for range 2 { // a sequence can be read again
		if got := sortKeys(t, seq); !slices.Equal(got, want) {
			t.Errorf("RowsByKey: %v, want %v", got, want)
		}
	}
	overdue := table.OverdueRows(t.Context(), start.Add(time.Hour))
	if got := sortKeys(t, overdue); !slices.Equal(got, want) {
		t.Errorf("OverdueRows: %v, want %v", got, want)
	}
	if got := sortKeys(t, table.RowsByState(t.Context(), pages, "queued")); !slices.Equal(got, want) {
		t.Errorf("RowsByState: %v, want %v", got, want)
	}
	rows, err := table.RowsByUpload(t.Context(), upload.Key, upload.ID(tableName))
	if err != nil || !rows.Has("a", 0) || rows.Has("b", 0) || !rows.Has("c", 0) {
		t.Errorf("RowsByUpload = %+v, %v", rows, err)
	}
	pages.Indexes = nil
	for range overdue {
		break
	}
	if n := len(pages.Indexes); n != 1 {
		t.Errorf("%d pages read for one row", n)
	}
}

// Dispatch must never take half of an upload's rows for all of them.
func TestAPageThatFailsFailsAll(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	f.queued(t, refTo("video", 0), queued)
	table := results.New(&handlertest.Paged{Client: f.client, T: t, Size: 1}, tableName, results.Options{})
	f.aws.Fail(handlertest.Operation("Query"), nil, &endpoint.Fault{Type: "AccessDeniedException", Message: "no"})
	rows, err := table.RowsByUpload(t.Context(), upload.Key, upload.ID(tableName))
	if rows != nil || !errors.Is(err, results.ErrDenied) {
		t.Errorf("RowsByUpload = %+v, %v", rows, err)
	}
}

func TestRowsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	_, err := f.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: map[string]types.AttributeValue{
		"pk":      &types.AttributeValueMemberS{Value: "k"},
		"sk":      &types.AttributeValueMemberS{Value: "s"},
		"upload":  &types.AttributeValueMemberS{Value: "u"},
		"attempt": &types.AttributeValueMemberS{Value: "first"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.RowsByUpload(t.Context(), "k", "u"); err == nil {
		t.Error("no error")
	}
}

func TestAddJobs(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 0)
	day := time.Date(2026, 4, 3, 23, 30, 0, 0, time.FixedZone("", -3600)) // the 4th in UTC
	count := func(at time.Time, want int64) {
		t.Helper()
		if got, err := f.JobCount(t.Context(), at); got != want || err != nil {
			t.Errorf("JobCount(%v) = %d, %v, want %d", at, got, err, want)
		}
	}
	count(day, 0)
	for _, n := range []int{3, 0, 4} {
		if err := f.AddJobs(t.Context(), day, n); err != nil {
			t.Fatal(err)
		}
	}
	count(day, 7)
	count(time.Date(2026, 4, 4, 0, 0, 0, 0, time.UTC), 7)
	count(time.Date(2026, 4, 3, 0, 0, 0, 0, time.UTC), 0)
	stored := f.aws.Item(t, "budget#", "2026-04-04")
	expires, ok := stored["expires_at"].(*types.AttributeValueMemberN)
	if want := fmt.Sprint(day.Add(90 * 24 * time.Hour).Unix()); !ok || expires.Value != want {
		t.Errorf("expires_at = %v, want %s", stored["expires_at"], want)
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Hour)
	f.queued(t, refTo("video", 0), queued)
	f.apply(t, refTo("video", 1), media.Result{JobID: "over", State: media.Failed}, results.CreateOrUpdate)
	stored := f.aws.Item(t, upload.Key, "task#"+jobID)
	for _, name := range append(results.OpenIndexAttributes(), results.PartitionKey, results.SortKey, results.OpenIndexHashKey, results.OpenIndexSortKey) {
		if stored[name] == nil {
			t.Errorf("an open row has no %s", name)
		}
	}
	if f.aws.Item(t, upload.Key, "task#over")[results.TTLAttribute] == nil {
		t.Errorf("a final row has no %s", results.TTLAttribute)
	}
	in := results.CreateTableInput("t")
	if aws.ToString(in.TableName) != "t" || in.BillingMode != types.BillingModePayPerRequest || len(in.AttributeDefinitions) != 4 {
		t.Errorf("CreateTableInput = %+v", in)
	}
	if got := f.Name(); got != tableName {
		t.Errorf("Name = %s", got)
	}
}
