// Package parameterstore reads secrets from AWS Systems Manager Parameter Store.
package parameterstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ittybit-media/handlers/awsclient/awscall"
	"ittybit-media/handlers/secrets"
)

var service = awscall.Service{Name: "Parameter Store", ID: "SSM", Signed: "ssm", Target: "AmazonSSM"}

type request struct {
	Name           string
	WithDecryption bool
}

type answer struct {
	Parameter struct{ Value *string }
}

// From returns the Fetcher of the parameter with the given name or ARN, decrypted if it is a SecureString. The errors wrap
// secrets.ErrMissing, ErrDenied or ErrThrottled where that is the reason.
func From(cfg aws.Config, name string) secrets.Fetcher {
	what := fmt.Sprintf("parameter %q", name)
	fill := fmt.Sprintf("put the value in with `aws ssm put-parameter --overwrite --type SecureString --name %s --value file://FILE`", plainName(name))
	// AWS Systems Manager API Reference, GetParameter, "Errors".
	missing := secrets.Advice{Reason: secrets.ErrMissing, Do: "it does not exist in this region: " + fill}
	advice := map[string]secrets.Advice{
		"ParameterNotFound":        missing,
		"ParameterVersionNotFound": missing,
		"InvalidKeyId":             secrets.AllowDecrypt,
	}
	client := awscall.New(cfg, service)
	return func(ctx context.Context) (string, error) {
		var a answer
		if err := client.Call(ctx, "GetParameter", request{Name: name, WithDecryption: true}, &a); err != nil {
			return "", secrets.Explain(what, "ssm:GetParameter", err, advice)
		}
		if a.Parameter.Value == nil {
			return "", fmt.Errorf("%s: %w: it has no value: %s", what, secrets.ErrMissing, fill)
		}
		return *a.Parameter.Value, nil
	}
}

// plainName turns an ARN into the name that put-parameter asks for, which must not be an ARN (AWS Systems Manager API
// Reference, PutParameter, "Name"). A name with levels starts with a slash that its ARN does not double.
func plainName(name string) string {
	_, path, found := strings.Cut(name, ":parameter/")
	switch {
	case !found:
		return name
	case strings.Contains(path, "/"):
		return "/" + path
	}
	return path
}
