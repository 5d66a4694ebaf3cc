package cloud

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/media"
)

type queues struct{ retry, dead *sqs.Queue }

// makeQueues makes the retry queue, where every event goes that could not be
// delivered or processed, and the dead letters behind it.
func (b *builder) makeQueues() error {
	retention := seconds(media.RetryRetention)
	dead, err := sqs.NewQueue(b.ctx, b.named("dead-letters"), &sqs.QueueArgs{
		MessageRetentionSeconds: retention,
		// Without a key of ours EventBridge and Lambda need no more than the queue's
		// own policy to send.
		SqsManagedSseEnabled: pulumi.Bool(true),
		Tags:                 b.tags,
	}, b.child())
	if err != nil {
		return err
	}
	retry, err := sqs.NewQueue(b.ctx, b.named("retry"), &sqs.QueueArgs{
		DelaySeconds:             seconds(media.RetryDelay),
		VisibilityTimeoutSeconds: seconds(media.RetryVisibility),
		MessageRetentionSeconds:  retention,
		RedrivePolicy: pulumi.JSONMarshal(pulumi.Map{
			"deadLetterTargetArn": dead.Arn,
			"maxReceiveCount":     pulumi.Int(media.RetryReceives),
		}),
		SqsManagedSseEnabled: pulumi.Bool(true),
		Tags:                 b.tags,
	}, b.child())
	if err != nil {
		return err
	}
	if _, err := sqs.NewRedriveAllowPolicy(b.ctx, b.named("dead-letters"), &sqs.RedriveAllowPolicyArgs{
		QueueUrl: dead.Url,
		RedriveAllowPolicy: pulumi.JSONMarshal(pulumi.Map{
			"redrivePermission": pulumi.String("byQueue"),
			"sourceQueueArns":   pulumi.StringArray{retry.Arn},
		}),
	}, b.child()); err != nil {
		return err
	}
	b.queues = queues{retry, dead}
	b.place = placeOf(retry.Arn)
	b.pipeline.RetryQueue, b.pipeline.DeadLetters = retry.Url, dead.Url
	return nil
}

// admitEvents lets EventBridge put what it cannot deliver into the retry queue:
// from this rule and no other.
func (b *builder) admitEvents(rule pulumi.StringInput) (pulumi.Resource, error) {
	return sqs.NewQueuePolicy(b.ctx, b.named("retry"), &sqs.QueuePolicyArgs{
		QueueUrl: b.queues.retry.Url,
		Policy: policy(statement{
			principals: service("events"),
			actions:    []string{"sqs:SendMessage"},
			resources:  []pulumi.StringInput{b.queues.retry.Arn},
			condition:  from(rule),
		}),
	}, b.child())
}
