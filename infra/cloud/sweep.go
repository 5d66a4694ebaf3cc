package cloud

import (
	"fmt"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

// sweep is the handler that asks for jobs whose callback does not come.
const sweep = "sweep"

// makeSweep makes the function and its schedule.
func (b *builder) makeSweep() error {
	c := b.Config
	f, err := b.makeFunction(function{
		handler:     sweep,
		description: "Asks Ittybit for the jobs whose callback is overdue",
		timeout:     media.SweepTimeout,
		environment: pulumi.StringMap{
			env.IttybitAPIURL: pulumi.String(c.IttybitAPIURL),
			env.OverdueAfter:  pulumi.String(c.OverdueAfter.String()),
			env.GiveUpAfter:   pulumi.String(c.GiveUpAfter.String()),
		},
		secrets: []reference{b.secrets.apiKey},
		grants: []statement{
			{
				actions:   []string{"dynamodb:Query"},
				resources: []pulumi.StringInput{pulumi.Sprintf("%s/index/%s", b.table.Arn, results.OpenIndex)},
			},
			{
				actions:   []string{"dynamodb:GetItem", "dynamodb:UpdateItem"},
				resources: []pulumi.StringInput{b.table.Arn},
			},
		},
	})
	if err != nil {
		return err
	}
	// The next run does what this one could not.
	once, err := lambda.NewFunctionEventInvokeConfig(b.ctx, b.named(sweep), &lambda.FunctionEventInvokeConfigArgs{
		FunctionName:             f.Name,
		MaximumRetryAttempts:     pulumi.Int(0),
		MaximumEventAgeInSeconds: seconds(min(c.SweepInterval, maxThrottled)),
	}, b.child())
	if err != nil {
		return err
	}
	schedule, err := cloudwatch.NewEventRule(b.ctx, b.named(sweep), &cloudwatch.EventRuleArgs{
		Description:        pulumi.String("When sweep looks for overdue jobs"),
		ScheduleExpression: pulumi.String(rate(c.SweepInterval)),
		Tags:               b.tags,
	}, b.child())
	if err != nil {
		return err
	}
	permission, err := lambda.NewPermission(b.ctx, b.named(sweep), &lambda.PermissionArgs{
		Action:    pulumi.String("lambda:InvokeFunction"),
		Function:  f.Name,
		Principal: pulumi.String("events.amazonaws.com"),
		SourceArn: schedule.Arn,
	}, b.child())
	if err != nil {
		return err
	}
	_, err = cloudwatch.NewEventTarget(b.ctx, b.named(sweep), &cloudwatch.EventTargetArgs{
		Rule: schedule.Name,
		Arn:  f.Arn,
	}, b.child(pulumi.DependsOn([]pulumi.Resource{once, permission})))
	return err
}

// rate is a schedule in EventBridge's words, which has minutes at the least
// ("Schedule expressions", Amazon EventBridge User Guide).
func rate(interval time.Duration) string {
	minutes := int(interval / time.Minute)
	if minutes == 1 {
		return "rate(1 minute)"
	}
	return fmt.Sprintf("rate(%d minutes)", minutes)
}
