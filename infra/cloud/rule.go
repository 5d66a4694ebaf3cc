package cloud

import (
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/event"
)

// How long and how often EventBridge tries to hand an event to dispatch: as
// much as it can ("Retrying event delivery", Amazon EventBridge User Guide).
const (
	deliveryAge      = 24 * time.Hour
	deliveryAttempts = 185
)

// makeRule makes the way from the bucket's uploads to dispatch. Before the ways
// from there to the retry queue and back are made, no event comes.
func makeRule(s scope, bucket pulumi.StringOutput, dispatch function, retry *sqs.Queue, ways []pulumi.Resource) (*cloudwatch.EventRule, error) {
	rule, err := cloudwatch.NewEventRule(s.ctx, s.named("uploads"), &cloudwatch.EventRuleArgs{
		Description: pulumi.String("Uploads with the suffixes of the routes"),
		EventPattern: bucket.ApplyT(func(bucket string) (string, error) {
			return event.Pattern(bucket, s.Config.Routes)
		}).(pulumi.StringOutput),
		Tags: s.tags,
	}, s.child())
	if err != nil {
		return nil, err
	}
	admitted, err := admitEvents(s, retry, rule.Arn)
	if err != nil {
		return nil, err
	}
	permission, err := permit(s, "uploads", dispatch, "events", rule.Arn)
	if err != nil {
		return nil, err
	}
	_, err = cloudwatch.NewEventTarget(s.ctx, s.named("uploads"), &cloudwatch.EventTargetArgs{
		Rule: rule.Name,
		Arn:  dispatch.Arn,
		RetryPolicy: &cloudwatch.EventTargetRetryPolicyArgs{
			MaximumEventAgeInSeconds: seconds(deliveryAge),
			MaximumRetryAttempts:     pulumi.Int(deliveryAttempts),
		},
		DeadLetterConfig: &cloudwatch.EventTargetDeadLetterConfigArgs{Arn: retry.Arn},
		// Before all of these are there, what fails would be lost.
	}, s.child(pulumi.DependsOn(append(ways, admitted, permission))))
	return rule, err
}
