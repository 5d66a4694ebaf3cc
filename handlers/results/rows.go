package results

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/media"
)

// Ledger is the rows of one upload, of all attempts. They have only the sort
// key, Job, Attempt, State and DispatchedAt.
type Ledger []Row

// Has reports whether the job needs no dispatch in that attempt: there is a row
// for it in any state, or it or its whole upload was rejected in that attempt
// or a later one, whose note replaced the earlier one.
func (l Ledger) Has(job string, attempt int) bool {
	for _, row := range l {
		switch {
		case row.State == media.Rejected:
			if (row.Job == job || row.Job == "") && row.Attempt >= attempt {
				return true
			}
		case row.Job == job && row.Attempt == attempt:
			return true
		}
	}
	return false
}

// Unnoted are the rows of an attempt that a callback made and that dispatch has
// not noted yet.
func (l Ledger) Unnoted(attempt int) []Row {
	var rows []Row
	for _, row := range l {
		if row.JobID() != "" && row.Attempt == attempt && row.DispatchedAt == 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

// Upload reads the rows of an upload. It misses none that was written before it
// was called.
func (t *Table) Upload(ctx context.Context, key, upload string) (Ledger, error) {
	const doing = "reading the rows of an upload"
	if err := t.checkKeys(doing, key, upload); err != nil {
		return nil, err
	}
	var ledger Ledger
	for row, err := range t.query(ctx, doing, &dynamodb.QueryInput{
		KeyConditionExpression:    aws.String("#pk = :pk"),
		FilterExpression:          aws.String("#upload = :upload"),
		ProjectionExpression:      aws.String("#sk, #job, #attempt, #state, #dispatched_at"),
		ExpressionAttributeValues: item{":pk": text(key), ":upload": text(upload)},
		ConsistentRead:            aws.Bool(true),
	}) {
		if err != nil {
			return nil, err
		}
		ledger = append(ledger, row)
	}
	return ledger, nil
}

// Key reads all rows of the uploads under a key, by sort key. It ends at the
// first error.
func (t *Table) Key(ctx context.Context, key string) iter.Seq2[Row, error] {
	return t.query(ctx, "reading the rows of a key", &dynamodb.QueryInput{
		KeyConditionExpression:    aws.String("#pk = :pk"),
		FilterExpression:          aws.String(isUpload),
		ExpressionAttributeValues: item{":pk": text(key)},
		ConsistentRead:            aws.Bool(true),
	})
}

// isUpload is the filter that leaves out the daily counts: somebody may upload
// a file of their key's name.
const isUpload = "attribute_exists(#state)"

// Overdue reads the open jobs to be looked at until now, those due longest
// first. They have only the keys and [OpenIndexAttributes], and may be a moment
// old. It ends at the first error.
func (t *Table) Overdue(ctx context.Context, now time.Time) iter.Seq2[Row, error] {
	return t.query(ctx, "reading the overdue jobs", &dynamodb.QueryInput{
		IndexName:                 aws.String(OpenIndex),
		KeyConditionExpression:    aws.String("#open = :open AND #check_at <= :now"),
		ExpressionAttributeValues: item{":open": text(openMark), ":now": number(now.UnixMilli())},
	})
}

// Unfinished reads the jobs that are not over, those to be looked at first in
// front. Of the rows there is as much, and as old, as [Table.Overdue] gives. It
// ends at the first error.
func (t *Table) Unfinished(ctx context.Context) iter.Seq2[Row, error] {
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
	u.value(OpenIndexHashKey, text(openMark))
	_, moved, err = t.update(ctx, doing, rowKey(key, jobPrefix+jobID), u, "#open = :open")
	return moved, err
}

// Scanner reads whole tables, which no Lambda function does.
type Scanner interface {
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// ByState reads all rows of a state's word, or of every state for "", by way of
// api. It reads the whole table, whatever it finds there. It ends at the first
// error.
func (t *Table) ByState(ctx context.Context, api Scanner, state string) iter.Seq2[Row, error] {
	in := &dynamodb.ScanInput{TableName: &t.name, FilterExpression: aws.String(isUpload)}
	if state != "" {
		in.FilterExpression = aws.String("#state = :state")
		in.ExpressionAttributeValues = item{":state": text(state)}
	}
	in.ExpressionAttributeNames = names(*in.FilterExpression)
	const doing = "reading the whole table"
	return t.rows(doing, func(start item) ([]item, item, error) {
		page := *in
		page.ExclusiveStartKey = start
		out, err := api.Scan(ctx, &page)
		if err != nil {
			return nil, nil, t.explain(doing, "Scan", err)
		}
		return out.Items, out.LastEvaluatedKey, nil
	})
}

// query reads all pages.
func (t *Table) query(ctx context.Context, doing string, in *dynamodb.QueryInput) iter.Seq2[Row, error] {
	in.TableName = &t.name
	in.ExpressionAttributeNames = names(aws.ToString(in.KeyConditionExpression), aws.ToString(in.FilterExpression), aws.ToString(in.ProjectionExpression))
	return t.rows(doing, func(start item) ([]item, item, error) {
		page := *in
		page.ExclusiveStartKey = start
		out, err := t.api.Query(ctx, &page)
		if err != nil {
			return nil, nil, t.explain(doing, "Query", err)
		}
		return out.Items, out.LastEvaluatedKey, nil
	})
}

// rows decodes page after page. The SDK's paginators differ for Query and Scan
// and would need the whole client.
func (t *Table) rows(doing string, page func(start item) (items []item, next item, err error)) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for start := item(nil); ; {
			items, next, err := page(start)
			if err != nil {
				yield(Row{}, err)
				return
			}
			for _, attributes := range items {
				var row Row
				if err := unmarshal(attributes, &row); err != nil {
					yield(Row{}, fmt.Errorf("table %s: %s: %w", t.name, doing, err))
					return
				}
				if !yield(row, nil) {
					return
				}
			}
			if len(next) == 0 {
				return
			}
			start = next
		}
	}
}
