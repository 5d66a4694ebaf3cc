package results

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"ittybit-media/handlers/media"
)

// sameJob is the condition that the row is the very job's. What is not there
// equals nothing, so it says as well that there is a row.
const sameJob = "#upload = :upload AND #job = :job AND #attempt = :attempt"

// standing is how a job's row stands to something that was not written to it.
type standing int

const (
	absent  standing = iota // there is no row
	foreign                 // it is the row of another upload, job or attempt
	behind                  // its rank is lower
	level                   // its rank is as high or higher
)

// stand reads a job's row after a condition did not hold. DynamoDB can send the
// row with the refusal, but not everything that speaks its protocol does.
func (t *Table) stand(ctx context.Context, doing string, ref media.JobRef, jobID string, rank int) (standing, error) {
	const projection = "#upload, #job, #attempt, #rank"
	out, err := t.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:                &t.name,
		Key:                      rowKey(ref.Key, jobPrefix+jobID),
		ConsistentRead:           aws.Bool(true),
		ProjectionExpression:     aws.String(projection),
		ExpressionAttributeNames: names(projection),
	})
	var row Row
	if err == nil {
		err = unmarshal(out.Item, &row)
	}
	switch {
	case err != nil:
		return absent, t.explain(doing, "GetItem", err)
	case len(out.Item) == 0:
		return absent, nil
	case row.Upload != ref.Upload || row.Job != ref.Job || row.Attempt != ref.Attempt:
		return foreign, nil
	case row.Rank == nil || *row.Rank < rank:
		return behind, nil
	}
	return level, nil
}
