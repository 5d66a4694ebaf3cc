package results

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

const (
	budgetKey  = "budget#"
	budgetStay = 90 * 24 * time.Hour // how long a day's count is kept to be looked at
)

func dayKey(day time.Time) item {
	return rowKey(budgetKey, day.UTC().Format(time.DateOnly))
}

// ReserveJobs adds n new jobs to the count of day's UTC date, unless that would
// make more than limit. False: nothing was counted. When the answer is lost and
// the SDK asks again, they count twice: the limit errs to the safe side.
func (t *Table) ReserveJobs(ctx context.Context, day time.Time, n int, limit int64) (reserved bool, err error) {
	if int64(n) > limit {
		return false, nil
	}
	const (
		expression = "ADD #jobs :n SET #expires_at = :expires_at"
		condition  = "attribute_not_exists(#jobs) OR #jobs <= :limit_minus_n"
	)
	_, err = t.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                &t.name,
		Key:                      dayKey(day),
		UpdateExpression:         aws.String(expression),
		ConditionExpression:      aws.String(condition),
		ExpressionAttributeNames: names(expression, condition),
		ExpressionAttributeValues: item{
			":n":             number(n),
			":limit_minus_n": number(limit - int64(n)),
			":expires_at":    number(day.Add(budgetStay).Unix()),
		},
	})
	switch {
	case refused(err):
		return false, nil
	case err != nil:
		return false, t.explain("reserving new jobs", "UpdateItem", err)
	}
	return true, nil
}

// ReturnJobs takes n jobs that were reserved and not made off the count of day's
// UTC date. It is sent once: a repetition after a lost answer would take off
// jobs that were made.
func (t *Table) ReturnJobs(ctx context.Context, day time.Time, n int) error {
	if n == 0 {
		return nil
	}
	const (
		expression = "ADD #jobs :n"
		condition  = "#jobs >= :least"
	)
	_, err := t.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &t.name,
		Key:                       dayKey(day),
		UpdateExpression:          aws.String(expression),
		ConditionExpression:       aws.String(condition),
		ExpressionAttributeNames:  names(expression, condition),
		ExpressionAttributeValues: item{":n": number(-n), ":least": number(n)},
	}, once)
	if err != nil {
		return t.explain("returning reserved jobs", "UpdateItem", err)
	}
	return nil
}

// once has a request sent without the SDK's retries.
func once(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} }

// JobCount reads the number of new jobs on day's UTC date, as it is now; 0 for a
// day without any.
func (t *Table) JobCount(ctx context.Context, day time.Time) (int64, error) {
	out, err := t.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, Key: dayKey(day), ConsistentRead: aws.Bool(true)})
	var count struct {
		Jobs int64 `json:"jobs"`
	}
	if err == nil {
		err = unmarshal(out.Item, &count)
	}
	if err != nil {
		return 0, t.explain("reading the day's count of jobs", "GetItem", err)
	}
	return count.Jobs, nil
}
