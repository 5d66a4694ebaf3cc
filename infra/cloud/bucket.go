package cloud

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// abandonedDays is when the parts of an upload that nobody finished are
// deleted: no list shows them, every bill does.
const abandonedDays = 7

// makeBucket makes the bucket, or takes the one that there is, and sees to it
// that EventBridge hears of its uploads.
func makeBucket(s scope) (pulumi.StringOutput, error) {
	if s.Config.BucketName == "" {
		bucket, err := newBucket(s)
		if err != nil {
			return pulumi.StringOutput{}, err
		}
		return bucket.Bucket, notify(s, bucket.Bucket)
	}
	name := pulumi.String(s.Config.BucketName).ToStringOutput()
	if !s.Config.ManageNotifications {
		return name, nil
	}
	// Others may rely on the bucket's events by the time when this stack goes.
	return name, notify(s, name, pulumi.RetainOnDelete(true))
}

// newBucket makes a private, encrypted bucket that speaks TLS only. Without
// `protect`, what is in it goes with it.
func newBucket(s scope) (*s3.BucketV2, error) {
	bucket, err := s3.NewBucketV2(s.ctx, s.named("uploads"), &s3.BucketV2Args{
		ForceDestroy: pulumi.Bool(!s.Config.Protect),
		Tags:         s.tags,
	}, s.kept())
	if err != nil {
		return nil, err
	}
	private, err := s3.NewBucketPublicAccessBlock(s.ctx, s.named("uploads"), &s3.BucketPublicAccessBlockArgs{
		Bucket:                bucket.Bucket,
		BlockPublicAcls:       pulumi.Bool(true),
		BlockPublicPolicy:     pulumi.Bool(true),
		IgnorePublicAcls:      pulumi.Bool(true),
		RestrictPublicBuckets: pulumi.Bool(true),
	}, s.child())
	if err != nil {
		return nil, err
	}
	if _, err := s3.NewBucketServerSideEncryptionConfigurationV2(s.ctx, s.named("uploads"), &s3.BucketServerSideEncryptionConfigurationV2Args{
		Bucket: bucket.Bucket,
		Rules: s3.BucketServerSideEncryptionConfigurationV2RuleArray{s3.BucketServerSideEncryptionConfigurationV2RuleArgs{
			ApplyServerSideEncryptionByDefault: &s3.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{
				SseAlgorithm: pulumi.String("AES256"),
			},
		}},
	}, s.child()); err != nil {
		return nil, err
	}
	if _, err := s3.NewBucketLifecycleConfigurationV2(s.ctx, s.named("uploads"), &s3.BucketLifecycleConfigurationV2Args{
		Bucket: bucket.Bucket,
		Rules: s3.BucketLifecycleConfigurationV2RuleArray{s3.BucketLifecycleConfigurationV2RuleArgs{
			Id:     pulumi.String("abandoned-uploads"),
			Status: pulumi.String("Enabled"),
			Filter: &s3.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String("")}, // everything
			AbortIncompleteMultipartUpload: &s3.BucketLifecycleConfigurationV2RuleAbortIncompleteMultipartUploadArgs{
				DaysAfterInitiation: pulumi.Int(abandonedDays),
			},
		}},
	}, s.child()); err != nil {
		return nil, err
	}
	_, err = s3.NewBucketPolicy(s.ctx, s.named("uploads"), &s3.BucketPolicyArgs{
		Bucket: bucket.Bucket,
		Policy: policy(statement{
			deny:       true,
			principals: pulumi.Map{"AWS": pulumi.String("*")},
			actions:    []string{"s3:*"},
			resources:  []pulumi.StringInput{bucket.Arn, pulumi.Sprintf("%s/*", bucket.Arn)},
			condition:  pulumi.Map{"Bool": pulumi.Map{"aws:SecureTransport": pulumi.String("false")}},
		}),
		// S3 refuses two such changes of a bucket at once.
	}, s.child(pulumi.DependsOn([]pulumi.Resource{private})))
	return bucket, err
}

// notify turns EventBridge on for the bucket. The resource is the bucket's
// whole notification configuration: what others have set there, it deletes.
func notify(s scope, bucket pulumi.StringInput, opts ...pulumi.ResourceOption) error {
	_, err := s3.NewBucketNotification(s.ctx, s.named("uploads"), &s3.BucketNotificationArgs{
		Bucket:      bucket,
		Eventbridge: pulumi.Bool(true),
	}, s.child(opts...))
	return err
}
