package cloud

import (
	"fmt"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

// makeSweep makes the function that asks for jobs whose callback does not come,
// and its schedule.
func makeSweep(s scope, table *dynamodb.Table, all secrets) (function, error) {
	f, err := makeFunction(s, functionSpec{
		handler:     sweepHandler,
		description: "Asks Ittybit for the jobs whose callback is overdue",
		timeout:     media.SweepTimeout,
		environment: pulumi.StringMap{
			env.IttybitAPIURL: pulumi.String(s.Config.IttybitAPIURL),
			env.OverdueAfter:  pulumi.String(s.Config.OverdueAfter.String()),
		},
		secrets: []reference{all.apiKey},
		grants: []statement{
			{
				actions:   []string{"dynamodb:Query"},
				resources: []pulumi.StringInput{pulumi.Sprintf("%s/index/%s", table.Arn, results.OpenIndex)},
			},
			{
				actions:   []string{"dynamodb:GetItem", "dynamodb:UpdateItem"},
				resources: []pulumi.StringInput{table.Arn},
			},
		},
	}, table, all.filled)
	if err != nil {
		return function{}, err
	}
	return f, makeSchedule(s, f)
}

// makeSchedule makes the rule that starts sweep every sweepInterval.
func makeSchedule(s scope, sweep function) error {
	interval := s.Config.SweepInterval
	// The next run does what this one could not.
	once, err := lambda.NewFunctionEventInvokeConfig(s.ctx, s.named(sweepHandler), &lambda.FunctionEventInvokeConfigArgs{
		FunctionName:             sweep.Name,
		MaximumRetryAttempts:     pulumi.Int(0),
		MaximumEventAgeInSeconds: seconds(min(interval, maxThrottled)),
	}, s.child())
	if err != nil {
		return err
	}
	schedule, err := cloudwatch.NewEventRule(s.ctx, s.named(sweepHandler), &cloudwatch.EventRuleArgs{
		Description:        pulumi.String("When sweep looks for overdue jobs"),
		ScheduleExpression: pulumi.String(rate(interval)),
		Tags:               s.tags,
	}, s.child())
	if err != nil {
		return err
	}
	permission, err := permit(s, sweepHandler, sweep, "events", schedule.Arn)
	if err != nil {
		return err
	}
	_, err = cloudwatch.NewEventTarget(s.ctx, s.named(sweepHandler), &cloudwatch.EventTargetArgs{
		Rule: schedule.Name,
		Arn:  sweep.Arn,
	}, s.child(pulumi.DependsOn([]pulumi.Resource{once, permission})))
	return err
}

// rate returns a schedule in EventBridge's words, which has minutes at the
// least ("Schedule expressions", Amazon EventBridge User Guide).
func rate(interval time.Duration) string {
	minutes := int(interval / time.Minute)
	if minutes == 1 {
		return "rate(1 minute)"
	}
	return fmt.Sprintf("rate(%d minutes)", minutes)
}
