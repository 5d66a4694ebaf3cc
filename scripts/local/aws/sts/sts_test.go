package sts_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/sts"
)

func TestCallersAreTheirKeys(t *testing.T) {
	t.Parallel()
	_, cfg := endpointtest.Serve(t, sts.API("000000000000"))
	for _, key := range []string{"LOCALOPERATOR", "LOCALSWEEP"} {
		cfg.Credentials = credentials.NewStaticCredentialsProvider(key, "b", "")
		out, err := awssts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{})
		if err != nil || *out.Account != "000000000000" || *out.Arn != "arn:aws:iam::000000000000:user/"+key || *out.UserId != key {
			t.Errorf("%+v, %v", out, err)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s, cfg := endpointtest.Serve(t, sts.API("000000000000"))
	client := awssts.NewFromConfig(cfg)
	if _, err := client.AssumeRole(t.Context(), &awssts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::000000000000:role/role"), RoleSessionName: aws.String("s")}); endpointtest.Code(err) != "UnknownOperationException" {
		t.Errorf("an operation that is not there: %v", err)
	}
	for _, fault := range []*endpoint.Fault{
		{Type: "ExpiredToken", Message: "The security token included in the request is expired", Status: 403},
		endpoint.Throttled(endpoint.Call{Service: endpoint.ServiceSTS}),
	} {
		s.Intercept(func(_ context.Context, c endpoint.Call) error {
			if c.Service != endpoint.ServiceSTS || c.Operation != "GetCallerIdentity" || c.AccessKey != endpointtest.AccessKey {
				t.Errorf("call %+v", c)
			}
			return fault
		})
		if _, err := client.GetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{}); endpointtest.Code(err) != fault.Type {
			t.Errorf("%v, want %s", err, fault.Type)
		}
	}
}
