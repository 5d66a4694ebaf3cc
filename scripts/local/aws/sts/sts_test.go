package sts_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/sts"
)

func start(t *testing.T) (*endpoint.Server, func(key string) *awssts.Client) {
	t.Helper()
	s := endpoint.New()
	s.Mount(sts.API("000000000000"))
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, func(key string) *awssts.Client {
		return awssts.New(awssts.Options{
			Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(key, "b", ""),
		})
	}
}

func TestCallersAreTheirKeys(t *testing.T) {
	t.Parallel()
	_, client := start(t)
	for _, key := range []string{"LOCALOPERATOR", "LOCALSWEEP"} {
		out, err := client(key).GetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{})
		if err != nil || *out.Account != "000000000000" || *out.Arn != "arn:aws:iam::000000000000:user/"+key || *out.UserId != key {
			t.Errorf("%+v, %v", out, err)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s, client := start(t)
	code := func(err error) string {
		api, _ := errors.AsType[smithy.APIError](err)
		if api == nil {
			return ""
		}
		return api.ErrorCode()
	}
	if _, err := client("a").AssumeRole(t.Context(), &awssts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::000000000000:role/role"), RoleSessionName: aws.String("s")}); code(err) != "UnknownOperationException" {
		t.Errorf("an operation that is not there: %v", err)
	}
	for _, fault := range []*endpoint.Fault{
		{Type: "ExpiredToken", Message: "The security token included in the request is expired", Status: 403},
		endpoint.Throttled(endpoint.Call{Service: endpoint.ServiceSTS}),
	} {
		s.Intercept(func(_ context.Context, c endpoint.Call) error {
			if c.Service != endpoint.ServiceSTS || c.Operation != "GetCallerIdentity" || c.AccessKey != "a" {
				t.Errorf("call %+v", c)
			}
			return fault
		})
		if _, err := client("a").GetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{}); code(err) != fault.Type {
			t.Errorf("%v, want %s", err, fault.Type)
		}
	}
}
