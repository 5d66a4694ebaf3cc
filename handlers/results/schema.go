package results

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The table's keys, as the guide has them: a string each.
const (
	PartitionKey = "pk" // the upload's key
	SortKey      = "sk"
)

// The index of the jobs that are not over, by the time when sweep asks for
// them. It is sparse: only rows that have both attributes are in it.
const (
	OpenIndex        = "open"
	OpenIndexHashKey = "open"     // a string, the same one in every row
	OpenIndexSortKey = "check_at" // a number, Unix milliseconds
)

// TTLAttribute is when DynamoDB may delete a row, in Unix seconds ("Using time
// to live (TTL) in DynamoDB", Amazon DynamoDB Developer Guide).
const TTLAttribute = "expires_at"

// OpenIndexAttributes are the attributes in the index beside the keys: whose
// job it is and since when it runs, which is all that sweep wants to know. With
// no more than that an entry stays under 1 KB for all but the longest keys,
// hence at one write unit; what dispatch learned later would be paid for twice.
func OpenIndexAttributes() []string {
	return []string{"source_bucket", "job", "upload", "attempt", "state", "rank", "dispatched_at", "created_at", "updated_at"}
}

// CreateTableInput makes the table, on demand, for tests and the local run. It
// cannot say [TTLAttribute]: DynamoDB has a call of its own for it.
func CreateTableInput(name string) *dynamodb.CreateTableInput {
	attribute := func(name string, t types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: t}
	}
	keys := func(hash, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: &hash, KeyType: types.KeyTypeHash},
			{AttributeName: &sort, KeyType: types.KeyTypeRange},
		}
	}
	return &dynamodb.CreateTableInput{
		TableName:   &name,
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			attribute(PartitionKey, types.ScalarAttributeTypeS),
			attribute(SortKey, types.ScalarAttributeTypeS),
			attribute(OpenIndexHashKey, types.ScalarAttributeTypeS),
			attribute(OpenIndexSortKey, types.ScalarAttributeTypeN),
		},
		KeySchema: keys(PartitionKey, SortKey),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String(OpenIndex),
			KeySchema: keys(OpenIndexHashKey, OpenIndexSortKey),
			Projection: &types.Projection{
				ProjectionType:   types.ProjectionTypeInclude,
				NonKeyAttributes: OpenIndexAttributes(),
			},
		}},
	}
}
