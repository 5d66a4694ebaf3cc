package ssm_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/ssm"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	s := ssm.New()
	_, cfg := endpointtest.Serve(t, s.API())
	client := awsssm.NewFromConfig(cfg)
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
	if _, err := client.GetParameter(t.Context(), &awsssm.GetParameterInput{Name: aws.String("none")}); endpointtest.Code(err) != "ParameterNotFound" {
		t.Errorf("none: %v", err)
	}
}
