package cloud

import (
	"cmp"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/pipes"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

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

// events are the parts behind the result events.
type events struct {
	bus  pulumi.StringOutput // its ARN
	dead *sqs.Queue
	logs *cloudwatch.LogGroup
	pipe *pipes.Pipe
}

// makeEvents makes the pipe that sends the result events from the table's
// stream to the bus. None of our code runs in it: [results.EventFilters] and
// [results.EventTemplate] say what it does. Returns nil when the stack sends no
// result events.
func makeEvents(s scope, p place, table *dynamodb.Table) (*events, error) {
	if !s.Config.ResultEvents {
		return nil, nil
	}
	bus := eventBus(p, s.Config.ResultEventBus)
	// A dead letter tells a record's place in the stream, which keeps it for a
	// day; the row stays.
	dead, err := makeDeadLetterQueue(s, "dead-events")
	if err != nil {
		return nil, err
	}
	logs, err := makeLogGroup(s, "/aws/vendedlogs/", "pipe")
	if err != nil {
		return nil, err
	}
	// The pipe has its random digits only once the role is there.
	trust := from(p.arn("pipes", "pipe/"+s.named("pipe")+"-*"))
	trust["StringEquals"] = pulumi.Map{"aws:SourceAccount": p.account}
	// As "Event source permissions for Amazon EventBridge Pipes" lists them
	// (Amazon EventBridge User Guide). Its log needs none.
	role, rights, err := makeRole(s, "pipe", "Sends the result events", statement{principals: service("pipes"), condition: trust}, []statement{
		{
			actions:   []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"},
			resources: []pulumi.StringInput{table.StreamArn},
		},
		{actions: []string{"sqs:SendMessage"}, resources: []pulumi.StringInput{dead.Arn}},
		{actions: []string{"events:PutEvents"}, resources: []pulumi.StringInput{bus}},
	})
	if err != nil {
		return nil, err
	}
	pipe, err := pipes.NewPipe(s.ctx, s.named("pipe"), &pipes.PipeArgs{
		Description:      pulumi.String("Result events"),
		RoleArn:          role.Arn,
		Source:           table.StreamArn,
		SourceParameters: pipeSource(dead),
		Target:           bus,
		TargetParameters: &pipes.PipeTargetParametersArgs{
			InputTemplate: pulumi.String(results.EventTemplate(s.ctx.Stack())),
			EventbridgeEventBusParameters: &pipes.PipeTargetParametersEventbridgeEventBusParametersArgs{
				Source:     pulumi.String(results.EventSource),
				DetailType: pulumi.String(results.EventDetailType),
			},
		},
		LogConfiguration: &pipes.PipeLogConfigurationArgs{
			Level:                        pulumi.String("ERROR"),
			CloudwatchLogsLogDestination: &pipes.PipeLogConfigurationCloudwatchLogsLogDestinationArgs{LogGroupArn: logs.Arn},
		},
		Tags: s.tags,
		// It is refused before it may do all of this.
	}, s.child(pulumi.DependsOn([]pulumi.Resource{rights})))
	return &events{bus, dead, logs, pipe}, err
}

// pipeSource says how the pipe reads the table's stream.
func pipeSource(dead *sqs.Queue) *pipes.PipeSourceParametersArgs {
	filters := pipes.PipeSourceParametersFilterCriteriaFilterArray{}
	for _, pattern := range results.EventFilters() {
		filters = append(filters, pipes.PipeSourceParametersFilterCriteriaFilterArgs{Pattern: pulumi.String(pattern)})
	}
	return &pipes.PipeSourceParametersArgs{
		DynamodbStreamParameters: &pipes.PipeSourceParametersDynamodbStreamParametersArgs{
			// Not from the stream's beginning: turning the events on would send those of
			// a whole day, many of them too old to be sent. The price is the few minutes
			// until the pipe reads.
			StartingPosition:          pulumi.String("LATEST"),
			BatchSize:                 pulumi.Int(eventBatch),
			MaximumRetryAttempts:      pulumi.Int(eventAttempts),
			MaximumRecordAgeInSeconds: seconds(eventAge),
			OnPartialBatchItemFailure: pulumi.String("AUTOMATIC_BISECT"),
			DeadLetterConfig:          &pipes.PipeSourceParametersDynamodbStreamParametersDeadLetterConfigArgs{Arn: dead.Arn},
		},
		FilterCriteria: &pipes.PipeSourceParametersFilterCriteriaArgs{Filters: filters},
	}
}

// eventBus returns the ARN of the bus that result events go to.
func eventBus(p place, nameOrARN string) pulumi.StringOutput {
	if stack.IsARN(nameOrARN) {
		return pulumi.String(nameOrARN).ToStringOutput()
	}
	return p.arn("events", "event-bus/"+cmp.Or(nameOrARN, defaultBus))
}
