package cloud

import (
	"strconv"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
)

// dispatch is the handler that uploads invoke.
const dispatch = "dispatch"

// maxThrottled is how long Lambda tries to start an invocation that it has no
// capacity for; it is also the longest that AWS allows ("How Lambda handles
// errors and retries with asynchronous invocation", AWS Lambda Developer Guide).
const maxThrottled = 6 * time.Hour

// makeDispatch makes the function that creates the jobs, and both ways from it
// to the retry queue and back.
func (b *builder) makeDispatch() (err error) {
	retry := b.queues.retry.Arn
	b.dispatch, err = b.makeFunction(function{
		handler:     dispatch,
		description: "Asks Ittybit for the jobs of an upload",
		timeout:     media.DispatchTimeout,
		concurrency: b.Config.ReservedConcurrency,
		environment: b.dispatchEnvironment(),
		secrets:     []reference{b.secrets.apiKey, b.secrets.callbackKeys},
		grants: []statement{
			{
				actions:   []string{"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"},
				resources: []pulumi.StringInput{b.table.Arn}, // not its index
			},
			// Lambda uses the role to read the queue and to send what failed there. A
			// request of the function's own code carries its ARN and is refused ("Using
			// source function ARN to control function access behavior", AWS Lambda
			// Developer Guide).
			{
				actions:   []string{"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"},
				resources: []pulumi.StringInput{retry},
				condition: pulumi.Map{"Null": pulumi.Map{"lambda:SourceFunctionArn": pulumi.String("true")}},
			},
		},
	})
	if err != nil {
		return err
	}
	failed, err := lambda.NewFunctionEventInvokeConfig(b.ctx, b.named(dispatch), &lambda.FunctionEventInvokeConfigArgs{
		FunctionName: b.dispatch.Name,
		// The retry queue is the one retry mechanism; Lambda itself only waits for
		// capacity.
		MaximumRetryAttempts:     pulumi.Int(0),
		MaximumEventAgeInSeconds: seconds(maxThrottled),
		DestinationConfig: &lambda.FunctionEventInvokeConfigDestinationConfigArgs{
			OnFailure: &lambda.FunctionEventInvokeConfigDestinationConfigOnFailureArgs{Destination: retry},
		},
	}, b.child())
	if err != nil {
		return err
	}
	again, err := lambda.NewEventSourceMapping(b.ctx, b.named("retry"), &lambda.EventSourceMappingArgs{
		EventSourceArn:        retry,
		FunctionName:          b.dispatch.Name,
		BatchSize:             pulumi.Int(media.RetryBatch),
		FunctionResponseTypes: pulumi.ToStringArray([]string{"ReportBatchItemFailures"}),
		ScalingConfig:         &lambda.EventSourceMappingScalingConfigArgs{MaximumConcurrency: pulumi.Int(media.RetryConcurrency)},
		Tags:                  b.tags,
	}, b.child())
	b.returns = []pulumi.Resource{failed, again}
	return err
}

func (b *builder) dispatchEnvironment() pulumi.StringMap {
	c := b.Config
	environment := pulumi.StringMap{
		env.WebhookURL:          b.pipeline.WebhookURL,
		env.ConnectionPlacement: pulumi.String(c.ConnectionPlacement),
		env.IttybitAPIURL:       pulumi.String(c.IttybitAPIURL),
		env.OutputPrefix:        pulumi.String(c.OutputPrefix),
		env.DailyJobLimit:       pulumi.String(strconv.FormatInt(c.DailyJobLimit, 10)),
		env.OverdueAfter:        pulumi.String(c.OverdueAfter.String()),
	}
	if c.ConnectionID != "" {
		environment[env.IttybitConnectionID] = pulumi.String(c.ConnectionID)
	}
	return environment
}
