package results

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// Why the table cannot be used. Every error of a [Table] that is DynamoDB's
// wraps DynamoDB's own and, where it is known, one of these.
var (
	ErrNoTable   = errors.New("there is no such table or index in this region: deploy the stack, or correct the table's name")
	ErrDenied    = errors.New("no access to the table")
	ErrThrottled = errors.New("DynamoDB throttles: that passes, unless the account's quota is too low")
)

// ErrUnreadable: a row cannot be decoded. It comes with its keys, and the rows
// after it follow. Any other error of rows is the last thing that comes.
var ErrUnreadable = errors.New("the row has an attribute of another type than this version writes: correct the row, or delete it")

// ErrOtherJob: the row under a job's id is that of another upload or job.
var ErrOtherJob = errors.New("the job's row is that of another upload, job or attempt")

// explain says which table, what was done there and what a person has to do.
// action is the IAM action that it takes.
func (t *Table) explain(doing, action string, err error) error {
	what := fmt.Sprintf("table %s: %s", t.name, doing)
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("%s: %w", what, err)
	}
	code := api.ErrorCode()
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
		return fmt.Errorf("%s: %w: %w", what, ErrThrottled, err)
	}
	switch code {
	case "ResourceNotFoundException":
		return fmt.Errorf("%s: %w: %w", what, ErrNoTable, err)
	case "AccessDeniedException":
		return fmt.Errorf("%s: %w: allow the role dynamodb:%s: %w", what, ErrDenied, action, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// refused tells a condition that does not hold from all other errors.
func refused(err error) bool {
	_, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	return ok
}
