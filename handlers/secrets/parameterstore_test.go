package secrets_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ittybit-media/handlers/awsclient"
	"ittybit-media/handlers/secrets"
)

func config(t *testing.T, vars map[string]string) aws.Config {
	t.Helper()
	cfg, err := awsclient.FromEnv(func(name string) string {
		if value, ok := vars[name]; ok {
			return value
		}
		return map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// serve answers every request alike.
func serve(t *testing.T, status int, body string) (aws.Config, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return config(t, map[string]string{"AWS_ENDPOINT_URL": server.URL}), &n
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:ssm:us-east-1:123456789012:parameter/"
	for _, c := range []struct {
		name, code, message string
		reason              error
		says                string
		calls               int32
	}{
		{name: "/app/key", code: "ParameterNotFound", reason: secrets.ErrMissing, says: "--name /app/key --value", calls: 1},
		{name: arn + "app/key", code: "com.amazonaws.ssm#ParameterNotFound", reason: secrets.ErrMissing, says: "--name /app/key --value", calls: 1},
		{name: arn + "key", code: "ParameterNotFound", reason: secrets.ErrMissing, says: "--name key --value", calls: 1},
		{name: "key:3", code: "ParameterVersionNotFound", reason: secrets.ErrMissing, says: "does not exist", calls: 1},
		{name: "key", code: "AccessDeniedException", message: "not authorized to perform: ssm:GetParameter", reason: secrets.ErrDenied, says: "role ssm:GetParameter", calls: 1},
		{name: "key", code: "AccessDeniedException", message: "The ciphertext refers to a customer master key that ...", reason: secrets.ErrDenied, says: "role kms:Decrypt", calls: 1},
		{name: "key", code: "InvalidKeyId", reason: secrets.ErrDenied, says: "kms:Decrypt", calls: 1},
		{name: "key", code: "ThrottlingException", message: "Rate exceeded", reason: secrets.ErrThrottled, says: "Rate exceeded", calls: 3},
	} {
		body, err := json.Marshal(map[string]string{"__type": c.code, "message": c.message})
		if err != nil {
			t.Fatal(err)
		}
		cfg, calls := serve(t, http.StatusBadRequest, string(body))
		_, err = secrets.FromParameterStore(cfg, c.name)(t.Context())
		if !errors.Is(err, c.reason) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s, %s: got %v; want %q and %q in it", c.name, c.code, err, c.reason, c.says)
		}
		if n := calls.Load(); n != c.calls {
			t.Errorf("%s: %d calls, want %d", c.code, n, c.calls)
		}
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		says   string
		calls  int32
	}{
		"no parameter":   {status: 200, body: `{}`, says: "no value", calls: 1},
		"no value":       {status: 200, body: `{"Parameter":{"Name":"key"}}`, says: "no value", calls: 1},
		"no JSON":        {status: 200, body: `hidden`, says: "not JSON", calls: 1},
		"a proxy's page": {status: 502, body: `<html>hidden</html>`, says: "none of Parameter Store's", calls: 3},
	} {
		cfg, calls := serve(t, c.status, c.body)
		_, err := secrets.FromParameterStore(cfg, "key")(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", name, err)
		}
		if n := calls.Load(); n != c.calls {
			t.Errorf("%s: %d calls, want %d", name, n, c.calls)
		}
	}
}

func TestAnUnreachableServiceIsTriedAgain(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) < 3 {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		_, _ = io.WriteString(w, `{"Parameter":{"Value":"key_1"}}`)
	}))
	t.Cleanup(server.Close)
	read := secrets.FromParameterStore(config(t, map[string]string{"AWS_ENDPOINT_URL": server.URL}), "key")
	if got, err := read(t.Context()); got != "key_1" || err != nil {
		t.Errorf("got %q, %v after %d tries", got, err, n.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// The request is the one that the service's reference asks for, signed, to the
// endpoint of this service.
func TestTheRequest(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		auth := r.Header.Get("Authorization")
		if r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("X-Amz-Target") != "AmazonSSM.GetParameter" ||
			r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || r.Header.Get("X-Amz-Security-Token") != "session" ||
			!strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKID/") || !strings.Contains(auth, "/eu-west-1/ssm/aws4_request") {
			t.Errorf("unexpected request %s %s %v", r.Method, r.URL, r.Header)
		}
		if string(body) != `{"Name":"/app/key","WithDecryption":true}` {
			t.Errorf("body %s", body)
		}
		_, _ = io.WriteString(w, `{"Parameter":{"Name":"/app/key","Type":"SecureString","Value":"key_1","Version":1}}`)
	}))
	defer server.Close()
	cfg := config(t, map[string]string{"AWS_ENDPOINT_URL_SSM": server.URL, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_SESSION_TOKEN": "session"})
	if got, err := secrets.FromParameterStore(cfg, "/app/key")(t.Context()); got != "key_1" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// hosts notes where requests go, and lets none through.
type hosts struct{ last string }

func (h *hosts) Do(r *http.Request) (*http.Response, error) {
	h.last = r.URL.String()
	return nil, errors.New("no network")
}

func TestTheRegionsOwnEndpoint(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"eu-west-1":  "https://ssm.eu-west-1.amazonaws.com/",
		"cn-north-1": "https://ssm.cn-north-1.amazonaws.com.cn/",
	} {
		cfg := config(t, map[string]string{"AWS_REGION": region})
		h := &hosts{}
		cfg.HTTPClient = h
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // one try will do
		if _, err := secrets.FromParameterStore(cfg, "key")(ctx); err == nil || h.last != want {
			t.Errorf("%s: %s, %v", region, h.last, err)
		}
	}
}
