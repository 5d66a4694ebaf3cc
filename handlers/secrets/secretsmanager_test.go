package secrets_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/secrets"
)

type getSecretValue func(*secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, error)

func (f getSecretValue) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return f(in)
}

func TestFromSecretsManagerReadsTextAndBytes(t *testing.T) {
	t.Parallel()
	text := "text"
	for _, c := range []struct {
		out           secretsmanager.GetSecretValueOutput
		want, wantErr string
		reason        error
	}{
		{out: secretsmanager.GetSecretValueOutput{SecretString: &text}, want: "text"},
		{out: secretsmanager.GetSecretValueOutput{SecretBinary: []byte("bytes é")}, want: "bytes é"},
		{out: secretsmanager.GetSecretValueOutput{SecretBinary: []byte(hidden + "\xff")}, wantErr: "not UTF-8"},
		{out: secretsmanager.GetSecretValueOutput{}, wantErr: "put-secret-value --secret-id app/key", reason: secrets.ErrMissing},
	} {
		fetch := secrets.FromSecretsManager(getSecretValue(func(in *secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, error) {
			if *in.SecretId != "app/key" {
				t.Errorf("asked for %q", *in.SecretId)
			}
			return &c.out, nil
		}), "app/key")
		got, err := fetch(t.Context())
		check(t, c.want, err, c.wantErr)
		if got != c.want || !errors.Is(err, c.reason) && c.reason != nil {
			t.Errorf("got %q, %v; want %q, %v", got, err, c.want, c.reason)
		}
	}
}

func TestFromSecretsManagerExplainsErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		err    error
		reason error
		says   []string
		not    string
	}{
		{"no secret", &smithy.GenericAPIError{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."},
			secrets.ErrMissing, []string{"has no value yet", "aws secretsmanager put-secret-value --secret-id kms/key"}, ""},
		{"deleted", &smithy.GenericAPIError{Code: "InvalidRequestException", Message: "marked for deletion"},
			secrets.ErrMissing, []string{"aws secretsmanager restore-secret --secret-id kms/key"}, ""},
		{"no permission", &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "User: r is not authorized to perform: secretsmanager:GetSecretValue on resource: kms/key"},
			secrets.ErrDenied, []string{"role secretsmanager:GetSecretValue", "kms:Decrypt"}, ""},
		{"no key permission", &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "Access to KMS is not allowed"},
			secrets.ErrDenied, []string{"role kms:Decrypt"}, "secretsmanager:GetSecretValue"},
		{"key disabled", &smithy.GenericAPIError{Code: "DecryptionFailure"}, secrets.ErrDenied, []string{"kms:Decrypt"}, ""},
		{"throttled", &smithy.GenericAPIError{Code: "ThrottlingException"}, secrets.ErrThrottled, nil, "kms:"},
		{"other", &smithy.GenericAPIError{Code: "InternalServiceError"}, nil, nil, "kms:"},
		{"network", errDown, nil, nil, "kms:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fetch := secrets.FromSecretsManager(getSecretValue(func(*secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, error) {
				return nil, c.err
			}), "kms/key")
			_, err := fetch(t.Context())
			if !errors.Is(err, c.err) {
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

// The real client, over AWS JSON 1.1, through the configuration that the functions use.
func TestSecretsManagerClient(t *testing.T) {
	t.Parallel()
	answers := map[string]struct {
		status int
		body   string
	}{
		"filled": {200, `{"Name":"filled","SecretString":"{\"api_key\":\"key_1\"}\n"}`},
		"binary": {200, `{"Name":"binary","SecretBinary":"a2V5XzI="}`},
		"empty":  {400, `{"__type":"ResourceNotFoundException","Message":"Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"}`},
		"denied": {400, `{"__type":"AccessDeniedException","Message":"Access to KMS is not allowed"}`},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var in struct{ SecretId string }
		if err := json.Unmarshal(body, &in); err != nil || r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" {
			t.Errorf("unexpected request %s: %s", r.Header.Get("X-Amz-Target"), body)
		}
		a := answers[in.SecretId]
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	defer server.Close()

	cfg, err := awsclient.FromEnv(func(name string) string {
		return map[string]string{
			"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s",
			"AWS_ENDPOINT_URL_SECRETS_MANAGER": server.URL,
		}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	client := secretsmanager.NewFromConfig(cfg)
	for id, want := range map[string]struct {
		key    string
		reason error
	}{
		"filled": {"key_1", nil}, "binary": {"key_2", nil}, "empty": {"", secrets.ErrMissing}, "denied": {"", secrets.ErrDenied},
	} {
		key, err := secrets.NewValue("API key", secrets.FromSecretsManager(client, id), secrets.APIKey).Get(t.Context())
		if key != want.key || !errors.Is(err, want.reason) {
			t.Errorf("%s: got %q, %v; want %q, %v", id, key, err, want.key, want.reason)
		}
	}
}
