package secrets

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ittybit-media/handlers/awsclient"
)

var secretsManager = awsclient.Service{Name: "Secrets Manager", ID: "Secrets Manager", Signed: "secretsmanager", Target: "secretsmanager"}

type getSecretValue struct {
	ID string `json:"SecretId"`
}

type secretValue struct {
	SecretString *string
	SecretBinary []byte // base64 on the wire
}

// FromSecretsManager returns the Fetcher of the secret with the given name or
// ARN. A binary value is taken as UTF-8 text. The errors wrap ErrMissing,
// ErrDenied or ErrThrottled where that is the reason.
func FromSecretsManager(cfg aws.Config, id string) Fetcher {
	what := fmt.Sprintf("secret %q", id)
	fill := fmt.Sprintf("put the value in with `aws secretsmanager put-secret-value --secret-id %s --secret-string file://FILE`", id)
	// AWS Secrets Manager API Reference, GetSecretValue, "Errors".
	known := map[string]advice{
		// Secrets Manager says the same of a secret without any version, as the
		// stack makes it.
		"ResourceNotFoundException": {ErrMissing, "it does not exist in this region, or has no value yet: " + fill},
		"InvalidRequestException":   {ErrMissing, "if it is marked for deletion, take it back with `aws secretsmanager restore-secret --secret-id " + id + "`"},
		"DecryptionFailure":         allowDecrypt,
	}
	client := awsclient.NewClient(cfg, secretsManager)
	return func(ctx context.Context) (string, error) {
		var out secretValue
		err := client.Call(ctx, "GetSecretValue", getSecretValue{id}, &out)
		switch {
		case err != nil:
			return "", explain(what, "secretsmanager:GetSecretValue", err, known)
		case out.SecretString != nil:
			return *out.SecretString, nil
		case out.SecretBinary == nil:
			return "", fmt.Errorf("%s: %w: it holds neither text nor bytes: %s", what, ErrMissing, fill)
		case !utf8.Valid(out.SecretBinary):
			return "", fmt.Errorf("%s: its binary value is not UTF-8 text: %s", what, fill)
		}
		return string(out.SecretBinary), nil
	}
}
