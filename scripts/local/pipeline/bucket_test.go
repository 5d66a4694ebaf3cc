package pipeline_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	locals3 "ittybit-media/scripts/local/aws/s3"
	"ittybit-media/scripts/local/pipeline"
)

// What is put while EventBridge is off is there, and nobody has been told.
func TestEventsFlowWhileEventBridgeIsOn(t *testing.T) {
	t.Parallel()
	r := startWith(t, func(o *pipeline.Options) {
		// Also where the stack would leave the bucket's notifications alone.
		o.Stack.BucketName, o.Stack.ManageNotifications = "an-existing-bucket", false
	})
	r.Put("on.mov", "x")
	set := func(c types.NotificationConfiguration) {
		t.Helper()
		if _, err := r.S3().PutBucketNotificationConfiguration(t.Context(), &s3.PutBucketNotificationConfigurationInput{Bucket: &r.Bucket, NotificationConfiguration: &c}); err != nil {
			t.Fatal(err)
		}
	}
	set(types.NotificationConfiguration{})
	r.Put("off.mov", "x")
	if why, ok := r.Has(pipeline.Unmatched, "off.mov"); !ok || why != "EventBridge is off for the bucket" {
		t.Errorf("not matched: %q, %t", why, ok)
	}
	set(types.NotificationConfiguration{EventBridgeConfiguration: &types.EventBridgeConfiguration{}})
	r.Put("on-again.mov", "x")
	r.Pass(time.Hour)
	r.wantDone("on.mov", "on-again.mov")
	if rows := r.Rows("off.mov"); len(rows) > 0 {
		t.Errorf("rows %+v", rows)
	}
}

// Each version is an upload of its own, by its id.
func TestAVersionedBucket(t *testing.T) {
	t.Parallel()
	r := startWith(t, func(o *pipeline.Options) { o.Versioned = true })
	r.Pass(48 * time.Hour)
	r.Put("a.mov", "x")
	r.Put("a.mov", "x")
	r.Pass(time.Minute)
	out, err := r.S3().ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &r.Bucket})
	if err != nil || len(out.Versions) != 2 {
		t.Fatalf("versions %+v, %v", out, err)
	}
	var listed []string
	for _, v := range out.Versions {
		listed = append(listed, *v.VersionId)
		if age := r.Clock.Now().Sub(*v.LastModified); age < 0 || age > time.Hour {
			t.Errorf("%s was made at %v, now it is %v", *v.VersionId, v.LastModified, r.Clock.Now())
		}
	}
	jobs := map[string]int{}
	for _, row := range r.Rows("a.mov") {
		jobs[row.VersionID]++
	}
	if len(jobs) != 2 || jobs[listed[0]] != 3 || jobs[listed[1]] != 3 {
		t.Errorf("jobs by version %v, versions %q", jobs, listed)
	}
}

// A further bucket is another's: the rule does not match it.
func TestAnotherBucket(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	if err := r.Objects.CreateBucket(locals3.Bucket{Name: "another-bucket", EventBridge: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.S3().PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("another-bucket"), Key: aws.String("a.mov")}); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Has(pipeline.Unmatched, "a.mov"); !ok {
		t.Error("the rule matches it")
	}
	out, err := r.S3().ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil || !slices.ContainsFunc(out.Buckets, func(b types.Bucket) bool { return *b.Name == "another-bucket" }) {
		t.Errorf("buckets %+v, %v", out, err)
	}
}
