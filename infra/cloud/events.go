package cloud

import (
	"cmp"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/pipes"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/infra/stack"
)

// How the pipe sends.
const (
	eventBatch    = 10        // as many as a bus takes at once ("Amazon EventBridge Pipes batching and concurrency", Amazon EventBridge User Guide)
	eventAttempts = 10        // after the first; then it is a dead letter
	eventAge      = time.Hour // what is older is a dead letter: the stream is not held up for longer
)

// defaultBus is the bus that every account has.
const defaultBus = "default"

// events are the parts behind the result events; nil where there are none.
type events struct {
	pipe *pipes.Pipe
	dead *sqs.Queue
}

// makeEvents makes the pipe that sends the result events from the table's stream
// to the bus. None of our code runs in it: [results.EventFilters] and
// [results.EventTemplate] say what it does.
func (b *builder) makeEvents() error {
	if !b.Config.ResultEvents {
		return nil
	}
	bus := b.eventBus()
	// A dead letter tells a record's place in the stream, which keeps it for a day;
	// the row stays.
	dead, err := sqs.NewQueue(b.ctx, b.named("dead-events"), &sqs.QueueArgs{
		MessageRetentionSeconds: seconds(media.RetryRetention),
		SqsManagedSseEnabled:    pulumi.Bool(true),
		Tags:                    b.tags,
	}, b.child())
	if err != nil {
		return err
	}
	logs, err := cloudwatch.NewLogGroup(b.ctx, "/aws/vendedlogs/"+b.named("pipe"), &cloudwatch.LogGroupArgs{
		RetentionInDays: pulumi.Int(b.Config.LogRetentionDays),
		Tags:            b.tags,
	}, b.child())
	if err != nil {
		return err
	}
	b.logGroups["pipe"] = logs.Name
	role, rights, err := b.makeEventsRole(bus, dead)
	if err != nil {
		return err
	}
	filters := pipes.PipeSourceParametersFilterCriteriaFilterArray{}
	for _, pattern := range results.EventFilters() {
		filters = append(filters, pipes.PipeSourceParametersFilterCriteriaFilterArgs{Pattern: pulumi.String(pattern)})
	}
	pipe, err := pipes.NewPipe(b.ctx, b.named("pipe"), &pipes.PipeArgs{
		Description: pulumi.String("Result events"),
		RoleArn:     role.Arn,
		Source:      b.table.StreamArn,
		SourceParameters: &pipes.PipeSourceParametersArgs{
			DynamodbStreamParameters: &pipes.PipeSourceParametersDynamodbStreamParametersArgs{
				// Not from the stream's beginning: whoever turns the events on would get
				// those of a whole day, among them many that are too old to be sent. The
				// price is the few minutes until the pipe reads.
				StartingPosition:          pulumi.String("LATEST"),
				BatchSize:                 pulumi.Int(eventBatch),
				MaximumRetryAttempts:      pulumi.Int(eventAttempts),
				MaximumRecordAgeInSeconds: seconds(eventAge),
				OnPartialBatchItemFailure: pulumi.String("AUTOMATIC_BISECT"),
				DeadLetterConfig:          &pipes.PipeSourceParametersDynamodbStreamParametersDeadLetterConfigArgs{Arn: dead.Arn},
			},
			FilterCriteria: &pipes.PipeSourceParametersFilterCriteriaArgs{Filters: filters},
		},
		Target: bus,
		TargetParameters: &pipes.PipeTargetParametersArgs{
			InputTemplate: pulumi.String(results.EventTemplate(b.ctx.Stack())),
			EventbridgeEventBusParameters: &pipes.PipeTargetParametersEventbridgeEventBusParametersArgs{
				Source:     pulumi.String(results.EventSource),
				DetailType: pulumi.String(results.EventDetailType),
			},
		},
		LogConfiguration: &pipes.PipeLogConfigurationArgs{
			Level:                        pulumi.String("ERROR"),
			CloudwatchLogsLogDestination: &pipes.PipeLogConfigurationCloudwatchLogsLogDestinationArgs{LogGroupArn: logs.Arn},
		},
		Tags: b.tags,
		// It is refused before it may do all of this.
	}, b.child(pulumi.DependsOn([]pulumi.Resource{rights})))
	if err != nil {
		return err
	}
	b.events = &events{pipe, dead}
	b.pipeline.EventBus, b.pipeline.DeadEvents = bus, dead.Url
	return nil
}

// makeEventsRole makes the role that the pipe reads and sends with.
func (b *builder) makeEventsRole(bus pulumi.StringInput, dead *sqs.Queue) (*iam.Role, pulumi.Resource, error) {
	// The pipe has its random digits only once the role is there.
	trust := from(b.place.arn("pipes", "pipe/"+b.named("pipe")+"-*"))
	trust["StringEquals"] = pulumi.Map{"aws:SourceAccount": b.place.account}
	role, err := iam.NewRole(b.ctx, b.named("pipe"), &iam.RoleArgs{
		Description: pulumi.String("Sends the result events"),
		AssumeRolePolicy: policy(statement{
			principals: service("pipes"),
			actions:    []string{"sts:AssumeRole"},
			condition:  trust,
		}),
		Tags: b.tags,
	}, b.child())
	if err != nil {
		return nil, nil, err
	}
	// As "Event source permissions for Amazon EventBridge Pipes" lists them (Amazon
	// EventBridge User Guide). Its log needs none.
	rights, err := iam.NewRolePolicy(b.ctx, b.named("pipe"), &iam.RolePolicyArgs{
		Role: role.ID(),
		Policy: policy(
			statement{
				actions:   []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"},
				resources: []pulumi.StringInput{b.table.StreamArn},
			},
			statement{actions: []string{"sqs:SendMessage"}, resources: []pulumi.StringInput{dead.Arn}},
			statement{actions: []string{"events:PutEvents"}, resources: []pulumi.StringInput{bus}},
		),
	}, b.child())
	return role, rights, err
}

// eventBus is the ARN of the bus that result events go to.
func (b *builder) eventBus() pulumi.StringOutput {
	bus := b.Config.ResultEventBus
	if stack.IsARN(bus) {
		return pulumi.String(bus).ToStringOutput()
	}
	return b.place.arn("events", "event-bus/"+cmp.Or(bus, defaultBus))
}
