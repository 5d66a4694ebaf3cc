package cloud

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"ittybit-media/handlers/media"
)

type queues struct{ retry, dead *sqs.Queue }

// makeQueues makes the retry queue, where every event goes that could not be
// delivered or processed, and the dead-letter queue behind it.
func makeQueues(s scope) (queues, error) {
	dead, err := makeDeadLetterQueue(s, "dead-letters")
	if err != nil {
		return queues{}, err
	}
	retry, err := sqs.NewQueue(s.ctx, s.named("retry"), &sqs.QueueArgs{
		DelaySeconds:             seconds(media.RetryDelay),
		VisibilityTimeoutSeconds: seconds(media.RetryVisibility),
		MessageRetentionSeconds:  seconds(media.RetryRetention),
		RedrivePolicy: pulumi.JSONMarshal(pulumi.Map{
			"deadLetterTargetArn": dead.Arn,
			"maxReceiveCount":     pulumi.Int(media.RetryReceives),
		}),
		SqsManagedSseEnabled: pulumi.Bool(true),
		Tags:                 s.tags,
	}, s.child())
	if err != nil {
		return queues{}, err
	}
	_, err = sqs.NewRedriveAllowPolicy(s.ctx, s.named("dead-letters"), &sqs.RedriveAllowPolicyArgs{
		QueueUrl: dead.Url,
		RedriveAllowPolicy: pulumi.JSONMarshal(pulumi.Map{
			"redrivePermission": pulumi.String("byQueue"),
			"sourceQueueArns":   pulumi.StringArray{retry.Arn},
		}),
	}, s.child())
	return queues{retry, dead}, err
}

// makeDeadLetterQueue makes a queue for what is not tried again.
func makeDeadLetterQueue(s scope, part string) (*sqs.Queue, error) {
	return sqs.NewQueue(s.ctx, s.named(part), &sqs.QueueArgs{
		MessageRetentionSeconds: seconds(media.RetryRetention),
		// Without a key of ours, the services that send here need no more than the
		// right to send.
		SqsManagedSseEnabled: pulumi.Bool(true),
		Tags:                 s.tags,
	}, s.child())
}

// admitEvents lets EventBridge put what it cannot deliver into the retry queue:
// from this rule and no other.
func admitEvents(s scope, retry *sqs.Queue, rule pulumi.StringInput) (pulumi.Resource, error) {
	return sqs.NewQueuePolicy(s.ctx, s.named("retry"), &sqs.QueuePolicyArgs{
		QueueUrl: retry.Url,
		Policy: policy(statement{
			principals: service("events"),
			actions:    []string{"sqs:SendMessage"},
			resources:  []pulumi.StringInput{retry.Arn},
			condition:  from(rule),
		}),
	}, s.child())
}
