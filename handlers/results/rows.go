package results

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// UploadRows are the rows of one upload, of all attempts. They have only the
// sort key, Job, Attempt, State, DispatchedAt and Error.
type UploadRows []Row

// Has is [Ledger.Has] of what the rows tell.
func (all UploadRows) Has(job string, attempt int) bool {
	return all.Ledger().Has(job, attempt)
}

// Unnoted are the rows of an attempt that a callback made and that dispatch has
// not noted yet.
func (all UploadRows) Unnoted(attempt int) []Row {
	var rows []Row
	for _, row := range all {
		if row.JobID() != "" && row.Attempt == attempt && row.DispatchedAt == 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

// RowsByUpload reads the rows of an upload. It misses none that was written
// before it was called.
func (t *Table) RowsByUpload(ctx context.Context, key, upload string) (UploadRows, error) {
	const doing = "reading the rows of an upload"
	if err := t.checkKeys(doing, key, upload); err != nil {
		return nil, err
	}
	var rows UploadRows
	for row, err := range t.query(ctx, doing, &dynamodb.QueryInput{
		KeyConditionExpression:    aws.String("#pk = :pk"),
		FilterExpression:          aws.String("#upload = :upload"),
		ProjectionExpression:      aws.String("#sk, #job, #attempt, #state, #dispatched_at, #error"),
		ExpressionAttributeValues: item{":pk": text(key), ":upload": text(upload)},
		ConsistentRead:            aws.Bool(true),
	}) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// RowsByKey reads all rows of the uploads under a key, by sort key. For its
// errors see [ErrUnreadable].
func (t *Table) RowsByKey(ctx context.Context, key string) iter.Seq2[Row, error] {
	return t.query(ctx, "reading the rows of a key", &dynamodb.QueryInput{
		KeyConditionExpression:    aws.String("#pk = :pk"),
		FilterExpression:          aws.String(isUpload),
		ExpressionAttributeValues: item{":pk": text(key)},
		ConsistentRead:            aws.Bool(true),
	})
}

// isUpload is the filter that leaves out the daily counts and leases: a file of
// their key's name may be uploaded.
const isUpload = "attribute_exists(#state)"

// OverdueRows reads the open jobs to be looked at until now, those due longest
// first. They have only the keys and [OpenIndexAttributes], and may be a moment
// old. For its errors see [ErrUnreadable].
func (t *Table) OverdueRows(ctx context.Context, now time.Time) iter.Seq2[Row, error] {
	return t.query(ctx, "reading the overdue jobs", &dynamodb.QueryInput{
		IndexName:                 aws.String(OpenIndex),
		KeyConditionExpression:    aws.String("#open = :open AND #check_at <= :now"),
		ExpressionAttributeValues: item{":open": text(openMark), ":now": number(now.UnixMilli())},
	})
}

// UnfinishedRows reads the jobs that are not over, those to be looked at first
// in front. Of the rows there is as much, and as old, as [Table.OverdueRows]
// gives. For its errors see [ErrUnreadable].
func (t *Table) UnfinishedRows(ctx context.Context) iter.Seq2[Row, error] {
	return t.query(ctx, "reading the jobs that are not over", &dynamodb.QueryInput{
		IndexName:                 aws.String(OpenIndex),
		KeyConditionExpression:    aws.String("#open = :open"),
		ExpressionAttributeValues: item{":open": text(openMark)},
	})
}

// Reschedule moves an open job's next look to checkAt. It returns false if the
// job is over, or gone.
func (t *Table) Reschedule(ctx context.Context, key, jobID string, checkAt time.Time) (moved bool, err error) {
	const doing = "moving a job's next check"
	if err := t.checkKeys(doing, key, jobID); err != nil {
		return false, err
	}
	u := newUpdate()
	u.set(item{OpenIndexSortKey: number(checkAt.UnixMilli())})
	// The value of open says only where in the index the row is.
	_, moved, err = t.update(ctx, doing, rowKey(key, jobPrefix+jobID), u, "attribute_exists(#open)")
	return moved, err
}

// RowsByState reads all rows of a state's word, or of every state for "", by
// way of api: no Lambda function may scan. It reads the whole table, whatever
// it finds there. For its errors see [ErrUnreadable].
func (t *Table) RowsByState(ctx context.Context, api dynamodb.ScanAPIClient, state string) iter.Seq2[Row, error] {
	const doing = "reading the whole table"
	in := &dynamodb.ScanInput{TableName: &t.name, FilterExpression: aws.String(isUpload)}
	if state != "" {
		in.FilterExpression = aws.String("#state = :state")
		in.ExpressionAttributeValues = item{":state": text(state)}
	}
	in.ExpressionAttributeNames = names(*in.FilterExpression)
	return func(yield func(Row, error) bool) {
		pages := dynamodb.NewScanPaginator(api, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Row{}, t.explain(doing, "Scan", err))
				return
			}
			if !t.yieldRows(doing, page.Items, yield) {
				return
			}
		}
	}
}

// query reads all pages of a query.
func (t *Table) query(ctx context.Context, doing string, in *dynamodb.QueryInput) iter.Seq2[Row, error] {
	in.TableName = &t.name
	in.ExpressionAttributeNames = names(aws.ToString(in.KeyConditionExpression), aws.ToString(in.FilterExpression), aws.ToString(in.ProjectionExpression))
	return func(yield func(Row, error) bool) {
		pages := dynamodb.NewQueryPaginator(t.api, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Row{}, t.explain(doing, "Query", err))
				return
			}
			if !t.yieldRows(doing, page.Items, yield) {
				return
			}
		}
	}
}

// yieldRows decodes the rows of a page. It returns false when no more are
// wanted.
func (t *Table) yieldRows(doing string, items []item, yield func(Row, error) bool) bool {
	for _, attributes := range items {
		var row Row
		if err := unmarshal(attributes, &row); err != nil {
			row, err = t.unreadable(doing, attributes, err)
			if !yield(row, err) {
				return false
			}
			continue
		}
		if !yield(row, nil) {
			return false
		}
	}
	return true
}

// unreadable returns the keys of a row that cannot be decoded, and the error
// that says so.
func (t *Table) unreadable(doing string, attributes item, err error) (Row, error) {
	var keys struct {
		Key     string `json:"pk"`
		SortKey string `json:"sk"`
	}
	_ = unmarshal(attributes, &keys) // strings, by the table's schema
	return Row{Key: keys.Key, SortKey: keys.SortKey},
		fmt.Errorf("table %s: %s: row %s under key %q: %w: %w", t.name, doing, keys.SortKey, keys.Key, ErrUnreadable, err)
}
