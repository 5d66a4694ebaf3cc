package parameterstore_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/secrets"
	"ittybit-media/handlers/secrets/parameterstore"
)

type getParameter func(*ssm.GetParameterInput) (*ssm.GetParameterOutput, error)

func (f getParameter) GetParameter(_ context.Context, in *ssm.GetParameterInput, _ ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	return f(in)
}

func TestFromExplainsErrors(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:ssm:us-east-1:123456789012:parameter/"
	api := func(code, message string) error { return &smithy.GenericAPIError{Code: code, Message: message} }
	for _, c := range []struct {
		name   string
		out    *ssm.GetParameterOutput
		err    error
		reason error
		says   string
	}{
		{"/app/key", nil, api("ParameterNotFound", ""), secrets.ErrMissing, "--name /app/key --value"},
		{arn + "app/key", nil, api("ParameterNotFound", ""), secrets.ErrMissing, "--name /app/key --value"},
		{arn + "key", nil, api("ParameterNotFound", ""), secrets.ErrMissing, "--name key --value"},
		{"key:3", nil, api("ParameterVersionNotFound", ""), secrets.ErrMissing, "does not exist"},
		{"key", &ssm.GetParameterOutput{}, nil, secrets.ErrMissing, "no value"},
		{"key", &ssm.GetParameterOutput{Parameter: &types.Parameter{}}, nil, secrets.ErrMissing, "no value"},
		{"key", nil, api("AccessDeniedException", "not authorized to perform: ssm:GetParameter"), secrets.ErrDenied, "role ssm:GetParameter"},
		{"key", nil, api("AccessDeniedException", "The ciphertext refers to a customer master key that ..."), secrets.ErrDenied, "role kms:Decrypt"},
		{"key", nil, api("InvalidKeyId", ""), secrets.ErrDenied, "kms:Decrypt"},
		{"key", nil, api("ThrottlingException", "Rate exceeded"), secrets.ErrThrottled, "Rate exceeded"},
	} {
		_, err := parameterstore.From(getParameter(func(*ssm.GetParameterInput) (*ssm.GetParameterOutput, error) { return c.out, c.err }), c.name)(t.Context())
		if !errors.Is(err, c.reason) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s, %v: got %v; want %q and %q in it", c.name, c.err, err, c.reason, c.says)
		}
		if c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("the cause %v is not in %v", c.err, err)
		}
	}
}

// The real client, over AWS JSON 1.1, through the configuration that the functions use.
func TestParameterStoreClient(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if target := r.Header.Get("X-Amz-Target"); target != "AmazonSSM.GetParameter" {
			t.Errorf("unexpected request %s: %s", target, body)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if !strings.Contains(string(body), `"WithDecryption":true`) || !strings.Contains(string(body), `"Name":"/app/key"`) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"ParameterNotFound"}`)
			return
		}
		_, _ = io.WriteString(w, `{"Parameter":{"Name":"/app/key","Type":"SecureString","Value":"key_1","Version":1}}`)
	}))
	defer server.Close()
	cfg, err := awsclient.FromEnv(func(name string) string {
		return map[string]string{
			"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL_SSM": server.URL,
		}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	client := ssm.NewFromConfig(cfg)
	if got, err := parameterstore.From(client, "/app/key")(t.Context()); got != "key_1" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := parameterstore.From(client, "/other")(t.Context()); !errors.Is(err, secrets.ErrMissing) {
		t.Errorf("another name: %v", err)
	}
}
