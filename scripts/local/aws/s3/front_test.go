package s3_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/s3"
)

func TestWhereABucketIs(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *s3.Options) {
		o.Buckets = append(o.Buckets, s3.Bucket{Name: "in-frankfurt", Region: "eu-central-1"})
	})
	ctx := t.Context()
	in := func(region string) func(*awss3.Options) { return func(o *awss3.Options) { o.Region = region } }
	// The one is wherever it is looked for, the other in its region alone.
	for bucket, regions := range map[string][]string{uploads: {"us-east-1", "eu-central-1"}, "in-frankfurt": {"eu-central-1"}} {
		want, constraint := regions[0], types.BucketLocationConstraint(regions[0])
		if want == "us-east-1" {
			constraint = ""
		}
		for _, region := range regions {
			head, err := f.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: &bucket}, in(region))
			if err != nil || aws.ToString(head.BucketRegion) != want {
				t.Errorf("%s from %s: %+v, %v", bucket, region, head, err)
			}
			location, err := f.client.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: &bucket}, in(region))
			if err != nil || location.LocationConstraint != constraint {
				t.Errorf("%s from %s: %+v, %v", bucket, region, location, err)
			}
		}
	}
	elsewhere := aws.String("in-frankfurt")
	if location, err := f.client.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: elsewhere}); err != nil || location.LocationConstraint != types.BucketLocationConstraintEuCentral1 {
		t.Errorf("%+v, %v", location, err)
	}
	_, err := f.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: elsewhere})
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || response.HTTPStatusCode() != http.StatusMovedPermanently || response.Response.Header.Get("X-Amz-Bucket-Region") != "eu-central-1" {
		t.Errorf("from elsewhere: %v", err)
	}
	if _, err := f.client.PutObject(ctx, &awss3.PutObjectInput{Bucket: elsewhere, Key: aws.String("k"), Body: strings.NewReader("x")}); endpointtest.Code(err) != "PermanentRedirect" {
		t.Errorf("put from elsewhere: %v", err)
	}
	if _, err := f.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: aws.String("none")}); endpointtest.Code(err) != "NotFound" {
		t.Errorf("a bucket that is not there: %v", err)
	}
	if _, err := f.client.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: aws.String("none")}); endpointtest.Code(err) != "NoSuchBucket" {
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
