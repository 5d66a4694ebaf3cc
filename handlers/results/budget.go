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

// AddJobs adds n new jobs to the count of day's UTC date. When the answer is
// lost and the SDK asks again, they count twice: the guard errs to the safe
// side.
func (t *Table) AddJobs(ctx context.Context, day time.Time, n int) error {
	if n == 0 {
		return nil
	}
	const expression = "ADD #jobs :n SET #expires_at = :expires_at"
	_, err := t.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                &t.name,
		Key:                      dayKey(day),
		UpdateExpression:         aws.String(expression),
		ExpressionAttributeNames: names(expression),
		ExpressionAttributeValues: item{
			":n":          number(n),
			":expires_at": number(day.Add(budgetStay).Unix()),
		},
	})
	if err != nil {
		return t.explain("counting new jobs", "UpdateItem", err)
	}
	return nil
}

// JobCount reads the number of new jobs on day's UTC date, 0 for a day without
// any. It may lack those of the
// last second.
func (t *Table) JobCount(ctx context.Context, day time.Time) (int64, error) {
	out, err := t.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, Key: dayKey(day)})
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
