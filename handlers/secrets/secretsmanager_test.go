package secrets_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/secrets"
)

// secretsManager answers every request alike, to a configuration as the
// functions have it.
func secretsManager(t *testing.T, id string, status int, body string) aws.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in map[string]string
		err := json.NewDecoder(r.Body).Decode(&in)
		if err != nil || len(in) != 1 || in["SecretId"] != id || r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" ||
			r.Header.Get("User-Agent") != "app/ittybit-media" || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/secretsmanager/aws4_request") {
			t.Errorf("unexpected request %v: %v", r.Header, in)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	cfg, err := awsclient.FromEnv(func(name string) string {
		return map[string]string{
			"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s",
			"AWS_ENDPOINT_URL_SECRETS_MANAGER": server.URL,
		}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestFromSecretsManagerReadsTextAndBytes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("<é>", 65536/4)
	text, err := json.Marshal(map[string]string{"Name": "app/key", "SecretString": long})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body, want, wantErr string
		reason              error
	}{
		"text":         {body: `{"Name":"app/key","SecretString":"text\n"}`, want: "text\n"},
		"the longest":  {body: string(text), want: long},
		"bytes":        {body: `{"SecretBinary":"Ynl0ZXMgw6k="}`, want: "bytes é"},
		"not UTF-8":    {body: `{"SecretBinary":"/2hpZGRlbg=="}`, wantErr: "not UTF-8"},
		"neither":      {body: `{"Name":"app/key"}`, wantErr: "put-secret-value --secret-id app/key", reason: secrets.ErrMissing},
		"no JSON":      {body: hidden, wantErr: "the answer to secretsmanager:GetSecretValue is not JSON"},
		"another type": {body: `{"SecretString":{"k":"` + hidden + `"}}`, wantErr: "is not JSON"},
	} {
		got, err := secrets.FromSecretsManager(secretsManager(t, "app/key", http.StatusOK, c.body), "app/key")(t.Context())
		check(t, name, err, c.wantErr)
		if got != c.want || !errors.Is(err, c.reason) && c.reason != nil {
			t.Errorf("%s: got %q, %v; want %q, %v", name, got, err, c.want, c.reason)
		}
	}
}

func TestFromSecretsManagerExplainsErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, code, message string
		reason              error
		says                []string
		not                 string
	}{
		{name: "no secret", code: "ResourceNotFoundException", message: "Secrets Manager can't find the specified secret.",
			reason: secrets.ErrMissing, says: []string{"has no value yet", "aws secretsmanager put-secret-value --secret-id kms/key"}},
		{name: "deleted", code: "InvalidRequestException", message: "marked for deletion",
			reason: secrets.ErrMissing, says: []string{"aws secretsmanager restore-secret --secret-id kms/key"}},
		{name: "no permission", code: "AccessDeniedException", message: "User: r is not authorized to perform: secretsmanager:GetSecretValue on resource: kms/key",
			reason: secrets.ErrDenied, says: []string{"role secretsmanager:GetSecretValue", "kms:Decrypt"}},
		{name: "no key permission", code: "AccessDeniedException", message: "Access to KMS is not allowed",
			reason: secrets.ErrDenied, says: []string{"role kms:Decrypt"}, not: "secretsmanager:GetSecretValue"},
		{name: "key disabled", code: "DecryptionFailure", reason: secrets.ErrDenied, says: []string{"kms:Decrypt"}},
		{name: "throttled", code: "ThrottlingException", reason: secrets.ErrThrottled, not: "kms:"},
		{name: "other", code: "InternalServiceError", not: "kms:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body, err := json.Marshal(map[string]string{"__type": c.code, "Message": c.message})
			if err != nil {
				t.Fatal(err)
			}
			_, err = secrets.FromSecretsManager(secretsManager(t, "kms/key", http.StatusBadRequest, string(body)), "kms/key")(t.Context())
			if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != c.code || api.ErrorMessage() != c.message {
				t.Fatalf("the cause is not in %v", err)
			}
			for _, reason := range []error{secrets.ErrMissing, secrets.ErrDenied, secrets.ErrThrottled} {
				if errors.Is(err, reason) != (reason == c.reason) {
					t.Errorf("%v: is it %q?", err, reason)
				}
			}
			for _, want := range append(c.says, `secret "kms/key"`) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not say %q", err, want)
				}
			}
			if c.not != "" && strings.Contains(err.Error(), c.not) {
				t.Errorf("%v says %q", err, c.not)
			}
		})
	}
}

// The SDK's own configuration, as the scripts have it, leaves more open than
// that of the functions.
func TestFromSecretsManagerWithTheLeastConfiguration(t *testing.T) {
	t.Parallel()
	full := secretsManager(t, "app/key", http.StatusOK, `{"SecretString":"text"}`)
	least := aws.Config{Region: full.Region, Credentials: full.Credentials, ConfigSources: full.ConfigSources, AppID: full.AppID}
	if got, err := secrets.FromSecretsManager(least, "app/key")(t.Context()); got != "text" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
