package secrets

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ittybit-media/handlers/awsclient"
)

var parameterStore = awsclient.Service{Name: "Parameter Store", ID: "SSM", Signed: "ssm", Target: "AmazonSSM"}

type getParameter struct {
	Name           string
	WithDecryption bool
}

type parameter struct {
	Parameter struct{ Value *string }
}

// FromParameterStore returns the Fetcher of the parameter with the given name
// or ARN, decrypted if it is a SecureString. The errors wrap ErrMissing,
// ErrDenied or ErrThrottled where that is the reason.
func FromParameterStore(cfg aws.Config, name string) Fetcher {
	what := fmt.Sprintf("parameter %q", name)
	fill := fmt.Sprintf("put the value in with `aws ssm put-parameter --overwrite --type SecureString --name %s --value file://FILE`", plainName(name))
	// AWS Systems Manager API Reference, GetParameter, "Errors".
	missing := advice{Reason: ErrMissing, Do: "it does not exist in this region: " + fill}
	known := map[string]advice{
		"ParameterNotFound":        missing,
		"ParameterVersionNotFound": missing,
		"InvalidKeyId":             allowDecrypt,
	}
	client := awsclient.NewClient(cfg, parameterStore)
	return func(ctx context.Context) (string, error) {
		var a parameter
		if err := client.Call(ctx, "GetParameter", getParameter{Name: name, WithDecryption: true}, &a); err != nil {
			return "", explain(what, "ssm:GetParameter", err, known)
		}
		if a.Parameter.Value == nil {
			return "", fmt.Errorf("%s: %w: it has no value: %s", what, ErrMissing, fill)
		}
		return *a.Parameter.Value, nil
	}
}

// plainName turns an ARN into the name that put-parameter asks for, which must
// not be an ARN (AWS Systems Manager API Reference, PutParameter, "Name"). A
// name with levels starts with a slash that its ARN does not double.
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
