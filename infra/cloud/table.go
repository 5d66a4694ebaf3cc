package cloud

import (
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/results"
)

// makeTable makes the table with the results, as the handlers define it.
func makeTable(s scope) (*dynamodb.Table, error) {
	args := schema(results.CreateTableInput(""))
	args.Ttl = &dynamodb.TableTtlArgs{AttributeName: pulumi.String(results.TTLAttribute), Enabled: pulumi.Bool(true)}
	// A stream costs nothing while nobody reads it. With both images a reader can
	// tell the change that made a row final.
	args.StreamEnabled, args.StreamViewType = pulumi.Bool(true), pulumi.String(types.StreamViewTypeNewAndOldImages)
	args.PointInTimeRecovery = &dynamodb.TablePointInTimeRecoveryArgs{Enabled: pulumi.Bool(s.Config.Protect)}
	args.DeletionProtectionEnabled = pulumi.Bool(s.Config.Protect)
	args.Tags = s.tags
	return dynamodb.NewTable(s.ctx, s.named("results"), args, s.kept())
}

// schema is the same table in Pulumi's words.
func schema(in *awsdynamodb.CreateTableInput) *dynamodb.TableArgs {
	hash, sort := keys(in.KeySchema)
	args := &dynamodb.TableArgs{BillingMode: pulumi.String(in.BillingMode), HashKey: hash, RangeKey: sort}
	attributes := make(dynamodb.TableAttributeArray, len(in.AttributeDefinitions))
	for i, a := range in.AttributeDefinitions {
		attributes[i] = dynamodb.TableAttributeArgs{Name: pulumi.String(*a.AttributeName), Type: pulumi.String(a.AttributeType)}
	}
	indexes := make(dynamodb.TableGlobalSecondaryIndexArray, len(in.GlobalSecondaryIndexes))
	for i, index := range in.GlobalSecondaryIndexes {
		hash, sort := keys(index.KeySchema)
		indexes[i] = dynamodb.TableGlobalSecondaryIndexArgs{
			Name:             pulumi.String(*index.IndexName),
			HashKey:          hash,
			RangeKey:         sort,
			ProjectionType:   pulumi.String(index.Projection.ProjectionType),
			NonKeyAttributes: pulumi.ToStringArray(index.Projection.NonKeyAttributes),
		}
	}
	args.Attributes, args.GlobalSecondaryIndexes = attributes, indexes
	return args
}

func keys(elements []types.KeySchemaElement) (hash, sort pulumi.String) {
	for _, e := range elements {
		if e.KeyType == types.KeyTypeHash {
			hash = pulumi.String(*e.AttributeName)
		} else {
			sort = pulumi.String(*e.AttributeName)
		}
	}
	return hash, sort
}
