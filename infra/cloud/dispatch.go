package cloud

import (
	"strconv"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
	"ittybit-media/infra/stack"
)

// makeDispatch makes the function that creates the jobs. It also returns the
// ways from it to the retry queue and back.
func makeDispatch(s scope, webhookURL pulumi.StringOutput, q queues, table *dynamodb.Table, all secrets) (function, []pulumi.Resource, error) {
	f, err := makeFunction(s, functionSpec{
		handler:     dispatchHandler,
		description: "Asks Ittybit for the jobs of an upload",
		timeout:     media.DispatchTimeout,
		concurrency: s.Config.ReservedConcurrency,
		environment: dispatchEnvironment(s.Config, webhookURL),
		secrets:     []reference{all.apiKey, all.callbackKeys},
		grants: []statement{
			{
				actions:   []string{"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"},
				resources: []pulumi.StringInput{table.Arn}, // not its index
			},
			// Lambda uses the role to read the queue and to send what failed there. A
			// request of the function's own code carries its ARN and is refused ("Using
			// source function ARN to control function access behavior", AWS Lambda
			// Developer Guide).
			{
				actions:   []string{"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"},
				resources: []pulumi.StringInput{q.retry.Arn},
				condition: pulumi.Map{"Null": pulumi.Map{"lambda:SourceFunctionArn": pulumi.String("true")}},
			},
		},
	}, table, all.filled)
	if err != nil {
		return function{}, nil, err
	}
	ways, err := makeRetryWays(s, f, q.retry)
	return f, ways, err
}

// makeRetryWays makes the way of failed invocations into the retry queue, and
// the way of its messages back to dispatch.
func makeRetryWays(s scope, dispatch function, retry *sqs.Queue) ([]pulumi.Resource, error) {
	failed, err := lambda.NewFunctionEventInvokeConfig(s.ctx, s.named(dispatchHandler), &lambda.FunctionEventInvokeConfigArgs{
		FunctionName: dispatch.Name,
		// The retry queue is the one retry mechanism; Lambda itself only waits for
		// capacity.
		MaximumRetryAttempts:     pulumi.Int(0),
		MaximumEventAgeInSeconds: seconds(maxThrottled),
		DestinationConfig: &lambda.FunctionEventInvokeConfigDestinationConfigArgs{
			OnFailure: &lambda.FunctionEventInvokeConfigDestinationConfigOnFailureArgs{Destination: retry.Arn},
		},
	}, s.child())
	if err != nil {
		return nil, err
	}
	again, err := lambda.NewEventSourceMapping(s.ctx, s.named("retry"), &lambda.EventSourceMappingArgs{
		EventSourceArn:        retry.Arn,
		FunctionName:          dispatch.Name,
		BatchSize:             pulumi.Int(media.RetryBatch),
		FunctionResponseTypes: pulumi.ToStringArray([]string{"ReportBatchItemFailures"}),
		ScalingConfig:         &lambda.EventSourceMappingScalingConfigArgs{MaximumConcurrency: pulumi.Int(media.RetryConcurrency)},
		Tags:                  s.tags,
	}, s.child())
	return []pulumi.Resource{failed, again}, err
}

func dispatchEnvironment(c stack.Config, webhookURL pulumi.StringOutput) pulumi.StringMap {
	environment := pulumi.StringMap{
		env.WebhookURL:          webhookURL,
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
