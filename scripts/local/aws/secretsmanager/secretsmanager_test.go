package secretsmanager_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssecrets "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/secretsmanager"
)

// start returns an emulator without secrets, and a client of it.
func start(t *testing.T) (*secretsmanager.Secrets, *awssecrets.Client) {
	t.Helper()
	s := secretsmanager.New()
	_, client := endpointtest.Serve(t, s.API())
	return s, awssecrets.NewFromConfig(client)
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	s, client := start(t)
	const arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:"
	s.Set("by/name", "n")
	s.Set(arn+"by/arn-AbCdEf", "a")
	s.SetEmpty("empty")
	for id, want := range map[string]string{
		"by/name": "n", arn + "by/name-x1Y2z3": "n", arn + "by/name": "n",
		arn + "by/arn-AbCdEf": "a", "by/arn": "a",
	} {
		out, err := client.GetSecretValue(t.Context(), &awssecrets.GetSecretValueInput{SecretId: &id})
		if err != nil || *out.SecretString != want || !strings.HasPrefix(*out.ARN, "arn:") || out.VersionId == nil {
			t.Errorf("%s = %v, %v; want %s", id, out, err, want)
		}
	}
	for _, id := range []string{"empty", "none", arn + "none-AbCdEf"} {
		if _, err := client.GetSecretValue(t.Context(), &awssecrets.GetSecretValueInput{SecretId: &id}); endpointtest.Code(err) != "ResourceNotFoundException" {
			t.Errorf("%s: %v", id, err)
		}
	}
	s.Set("empty", "filled")
	if out, err := client.GetSecretValue(t.Context(), &awssecrets.GetSecretValueInput{SecretId: aws.String("empty")}); err != nil || *out.SecretString != "filled" {
		t.Errorf("filled: %v, %v", out, err)
	}
}

func TestDescribingSecrets(t *testing.T) {
	t.Parallel()
	s, client := start(t)
	s.Set("key", "never to be seen here")
	s.SetEmpty("empty")
	for id, versions := range map[string]int{"key": 1, "arn:aws:secretsmanager:us-east-1:000000000000:secret:key-AbCdEf": 1, "empty": 0} {
		out, err := client.DescribeSecret(t.Context(), &awssecrets.DescribeSecretInput{SecretId: &id})
		if err != nil || !strings.Contains(id, *out.Name) || !strings.HasPrefix(*out.ARN, "arn:") || len(out.VersionIdsToStages) != versions {
			t.Errorf("%s: %+v, %v", id, out, err)
		}
	}
	if _, err := client.DescribeSecret(t.Context(), &awssecrets.DescribeSecretInput{SecretId: aws.String("none")}); endpointtest.Code(err) != "ResourceNotFoundException" {
		t.Errorf("none: %v", err)
	}
}
