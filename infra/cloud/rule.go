package cloud

import (
	"ittybit-media/handlers/event"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// How long and how often EventBridge tries to hand an event to dispatch: as
// much as it can ("Retrying event delivery", Amazon EventBridge User Guide).
const (
	deliveryAge      = 24 * time.Hour
	deliveryAttempts = 185
)

// makeRule makes the way from the bucket's uploads to dispatch.
func (b *builder) makeRule() error {
	bucket, err := b.makeBucket()
	if err != nil {
		return err
	}
	b.pipeline.Bucket = bucket
	rule, err := cloudwatch.NewEventRule(b.ctx, b.named("uploads"), &cloudwatch.EventRuleArgs{
		Description: pulumi.String("Uploads with the suffixes of the routes"),
		EventPattern: bucket.ApplyT(func(bucket string) (string, error) {
			return event.Pattern(bucket, b.Config.Routes)
		}).(pulumi.StringOutput),
		Tags: b.tags,
	}, b.child())
	if err != nil {
		return err
	}
	b.pipeline.Rule = rule.Name
	admitted, err := b.admitEvents(rule.Arn)
	if err != nil {
		return err
	}
	permission, err := lambda.NewPermission(b.ctx, b.named("uploads"), &lambda.PermissionArgs{
		Action:    pulumi.String("lambda:InvokeFunction"),
		Function:  b.dispatch.Name,
		Principal: pulumi.String("events.amazonaws.com"),
		SourceArn: rule.Arn,
	}, b.child())
	if err != nil {
		return err
	}
	_, err = cloudwatch.NewEventTarget(b.ctx, b.named("uploads"), &cloudwatch.EventTargetArgs{
		Rule: rule.Name,
		Arn:  b.dispatch.Arn,
		RetryPolicy: &cloudwatch.EventTargetRetryPolicyArgs{
			MaximumEventAgeInSeconds: seconds(deliveryAge),
			MaximumRetryAttempts:     pulumi.Int(deliveryAttempts),
		},
		DeadLetterConfig: &cloudwatch.EventTargetDeadLetterConfigArgs{Arn: b.queues.retry.Arn},
		// Before all of these are there, what fails would be lost.
	}, b.child(pulumi.DependsOn(append(b.returns, admitted, permission))))
	return err
}
