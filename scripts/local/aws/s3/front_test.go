package s3_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/s3"
)

func TestWhereABucketIs(t *testing.T) {
	t.Parallel()
	f := start(t)
	ctx := t.Context()
	head, err := f.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: aws.String(uploads)}, func(o *awss3.Options) { o.Region = "eu-central-1" })
	if err != nil || aws.ToString(head.BucketRegion) != "us-east-1" {
		t.Errorf("%+v, %v", head, err)
	}
	if _, err := f.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: aws.String("none")}); endpointtest.Code(err) != "NotFound" {
		t.Errorf("a bucket that is not there: %v", err)
	}
}

func TestIntercept(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put(t, "a", strings.NewReader("x"))
	f.store.Intercept(func(r *http.Request) *s3.Fault {
		switch {
		case r.Method == http.MethodGet && r.URL.Query().Has("list-type"):
			return &s3.Fault{Code: "AccessDenied", Message: "not allowed", Status: http.StatusForbidden}
		case r.Method == http.MethodPut:
			return &s3.Fault{Code: "SlowDown", Message: "Reduce your request rate.", Status: http.StatusServiceUnavailable}
		}
		return nil
	})
	ctx, bucket := t.Context(), aws.String(uploads)
	if _, err := f.client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: bucket}); endpointtest.Code(err) != "AccessDenied" {
		t.Errorf("listing: %v", err)
	}
	if _, err := f.client.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: aws.String("b"), Body: strings.NewReader("x")}); endpointtest.Code(err) != "SlowDown" {
		t.Errorf("put: %v", err)
	}
	if body := string(f.get(t, "a")); body != "x" {
		t.Errorf("a is %q", body)
	}
	f.store.Intercept(nil)
	if out, err := f.client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: bucket}); err != nil || len(out.Contents) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}
