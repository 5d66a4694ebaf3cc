package ssm_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/ssm"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	s, e := ssm.New(), endpoint.New()
	e.Mount(s.API())
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	client := awsssm.New(awsssm.Options{
		Region: endpoint.Region, BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
	s.Set("/ittybit/key", "secret")
	s.Set("arn:aws:ssm:us-east-1:000000000000:parameter/plain", "secret")
	for _, name := range []string{"/ittybit/key", "arn:aws:ssm:us-east-1:000000000000:parameter/ittybit/key", "plain"} {
		out, err := client.GetParameter(t.Context(), &awsssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
		if err != nil || *out.Parameter.Value != "secret" || out.Parameter.Type != "SecureString" {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
	if out, err := client.GetParameter(t.Context(), &awsssm.GetParameterInput{Name: aws.String("/ittybit/key")}); err != nil || *out.Parameter.Value == "secret" {
		t.Errorf("without decryption: %v, %v", out, err)
	}
	if _, err := client.GetParameter(t.Context(), &awsssm.GetParameterInput{Name: aws.String("none")}); code(err) != "ParameterNotFound" {
		t.Errorf("none: %v", err)
	}
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}
