package awsclient_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"ittybit-media/handlers/awsclient"
)

// environment is what Lambda gives, changed by the given names and values.
func environment(changes ...string) func(string) string {
	env := map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
		"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "very-secret", "AWS_SESSION_TOKEN": "session",
	}
	for pair := range slices.Chunk(changes, 2) {
		env[pair[0]] = pair[1]
	}
	return func(name string) string { return env[name] }
}

func config(t *testing.T, changes ...string) aws.Config {
	t.Helper()
	cfg, err := awsclient.FromEnv(environment(changes...))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestFromEnvNamesEveryProblem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		changes []string
		want    []string
	}{
		{name: "nothing set",
			changes: []string{"AWS_REGION", "", "AWS_DEFAULT_REGION", "", "AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", ""},
			want:    []string{"AWS_REGION or AWS_DEFAULT_REGION is not set", "AWS_ACCESS_KEY_ID is not set", "AWS_SECRET_ACCESS_KEY is not set"}},
		{name: "a variable and an endpoint",
			changes: []string{"AWS_ACCESS_KEY_ID", "", "AWS_ENDPOINT_URL_SSM", "localhost:8000", "AWS_ENDPOINT_URL", "ftp://very-secret@host"},
			want:    []string{"AWS_ACCESS_KEY_ID is not set", "AWS_ENDPOINT_URL is not a URL", "AWS_ENDPOINT_URL_SSM is not a URL"}},
		{name: "no host", changes: []string{"AWS_ENDPOINT_URL_DYNAMODB", "http://"}, want: []string{"AWS_ENDPOINT_URL_DYNAMODB is not a URL"}},
		{name: "no URL", changes: []string{"AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://a b"}, want: []string{"AWS_ENDPOINT_URL_SECRETS_MANAGER is not a URL"}},
		{name: "neither true nor false", changes: []string{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "1"}, want: []string{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := awsclient.FromEnv(environment(c.changes...))
			if err == nil {
				t.Fatal("no error")
			}
			if n := strings.Count(err.Error(), "AWS_"); n < len(c.want) {
				t.Errorf("%d problems in %q", n, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "very-secret") {
				t.Errorf("%q holds a secret", err)
			}
		})
	}
}

func TestFromEnvRegionAndCredentials(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		changes       []string
		region, token string
	}{
		{region: "eu-west-1", token: "session"},
		{changes: []string{"AWS_REGION", "us-east-1"}, region: "us-east-1", token: "session"},
		{changes: []string{"AWS_REGION", "", "AWS_DEFAULT_REGION", "us-west-2", "AWS_SESSION_TOKEN", ""}, region: "us-west-2"},
	} {
		cfg := config(t, c.changes...)
		got, err := cfg.Credentials.Retrieve(t.Context())
		if err != nil || got.AccessKeyID != "AKID" || got.SecretAccessKey != "very-secret" || got.SessionToken != c.token || cfg.Region != c.region {
			t.Errorf("%v: region %q, error %v, or the credentials are wrong", c.changes, cfg.Region, err)
		}
	}
}

// The endpoint is seen in the host of the request, which a client of its own
// answers.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		changes []string
		want    [3]string // of DynamoDB, Secrets Manager, SSM
	}{
		{name: "AWS's own",
			want: [3]string{"https://dynamodb.eu-west-1.amazonaws.com", "https://secretsmanager.eu-west-1.amazonaws.com", "https://ssm.eu-west-1.amazonaws.com"}},
		{name: "one for all", changes: []string{"AWS_ENDPOINT_URL", "http://all:1"},
			want: [3]string{"http://all:1", "http://all:1", "http://all:1"}},
		{name: "one for each", changes: []string{"AWS_ENDPOINT_URL_DYNAMODB", "http://d:1", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://m:1", "AWS_ENDPOINT_URL_SSM", "http://s:1"},
			want: [3]string{"http://d:1", "http://m:1", "http://s:1"}},
		{name: "a service's own wins", changes: []string{"AWS_ENDPOINT_URL", "http://all:1", "AWS_ENDPOINT_URL_SSM", "http://s:1"},
			want: [3]string{"http://all:1", "http://all:1", "http://s:1"}},
		{name: "ignored", changes: []string{"AWS_ENDPOINT_URL", "http://all:1", "AWS_ENDPOINT_URL_SSM", "http://s:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True"},
			want: [3]string{"https://dynamodb.eu-west-1.amazonaws.com", "https://secretsmanager.eu-west-1.amazonaws.com", "https://ssm.eu-west-1.amazonaws.com"}},
		{name: "not ignored", changes: []string{"AWS_ENDPOINT_URL", "http://all:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false"},
			want: [3]string{"http://all:1", "http://all:1", "http://all:1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked []string
			cfg := config(t, c.changes...)
			cfg.HTTPClient = client(func(r *http.Request) *http.Response {
				asked = append(asked, r.URL.Scheme+"://"+r.URL.Host)
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}
			})
			callEach(t, cfg)
			if !slices.Equal(asked, c.want[:]) {
				t.Errorf("asked %q, want %q", asked, c.want)
			}
		})
	}
}

type client func(*http.Request) *http.Response

func (c client) Do(r *http.Request) (*http.Response, error) { return c(r), nil }

func callEach(t *testing.T, cfg aws.Config) {
	t.Helper()
	if err := listTables(t.Context(), dynamodb.NewFromConfig(cfg)); err != nil {
		t.Error(err)
	}
	if _, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("s")}); err != nil {
		t.Error(err)
	}
	if _, err := ssm.NewFromConfig(cfg).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("p")}); err != nil {
		t.Error(err)
	}
}

func listTables(ctx context.Context, c *dynamodb.Client) error {
	_, err := c.ListTables(ctx, &dynamodb.ListTablesInput{})
	return err
}

// serve starts a DynamoDB that answers each request with handle, which gets the
// request's number from 1.
func serve(t *testing.T, handle func(n int64, w http.ResponseWriter, r *http.Request)) (*dynamodb.Client, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The body must be read for the server to notice that the client is
		// gone.
		_, _ = io.Copy(io.Discard, r.Body)
		handle(requests.Add(1), w, r)
	}))
	t.Cleanup(server.Close)
	return dynamodb.NewFromConfig(config(t, "AWS_ENDPOINT_URL", server.URL)), &requests
}

func ok(w http.ResponseWriter) { _, _ = io.WriteString(w, "{}") }

func TestRequestsAreSignedAndNameTheProduct(t *testing.T) {
	t.Parallel()
	client, _ := serve(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); !strings.Contains(got, "Credential=AKID/") || !strings.Contains(got, "/eu-west-1/dynamodb/aws4_request") {
			t.Errorf("Authorization: %s", got)
		}
		if got := r.Header.Get("X-Amz-Security-Token"); got != "session" {
			t.Errorf("token: %q", got)
		}
		if got := r.Header.Get("User-Agent"); !strings.Contains(got, "app/ittybit-media") {
			t.Errorf("User-Agent: %s", got)
		}
		ok(w)
	})
	if err := listTables(t.Context(), client); err != nil {
		t.Error(err)
	}
}

// webhookTime is the deadline of the webhook function.
const webhookTime = 4 * time.Second

func TestSilenceOnAConnectionLeavesTimeForAnother(t *testing.T) {
	t.Parallel()
	client, requests := serve(t, func(n int64, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			<-r.Context().Done()
			return
		}
		ok(w)
	})
	ctx, cancel := context.WithTimeout(t.Context(), webhookTime)
	defer cancel()
	if err := listTables(ctx, client); err != nil {
		t.Error(err)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

func TestFailuresEndWithinTheWebhooksTime(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]struct {
		status int
		body   string
	}{
		"unavailable": {status: http.StatusServiceUnavailable, body: `{}`},
		"throttled":   {status: http.StatusBadRequest, body: `{"__type":"ThrottlingException","message":"slow down"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, requests := serve(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(answer.status)
				_, _ = io.WriteString(w, answer.body)
			})
			ctx, cancel := context.WithTimeout(t.Context(), webhookTime)
			defer cancel()
			if err := listTables(ctx, client); err == nil || ctx.Err() != nil {
				t.Errorf("error %v, context %v", err, ctx.Err())
			}
			if n := requests.Load(); n != 3 {
				t.Errorf("%d requests, want 3", n)
			}
		})
	}
}

func TestWaitsBetweenAttemptsAreShort(t *testing.T) {
	t.Parallel()
	retryer := config(t).Retryer()
	throttled := &smithy.GenericAPIError{Code: "ThrottlingException"}
	for range 200 { // they are random
		if d, err := retryer.RetryDelay(2, throttled); err != nil || d > webhookTime/8 {
			t.Fatalf("%v, %v", d, err)
		}
	}
}

func TestParallelRequestsKeepTheirConnections(t *testing.T) {
	t.Parallel()
	const parallel = 40
	var arrived sync.WaitGroup
	var opened atomic.Int64
	// No request is answered before all have come, so each has a connection of
	// its own.
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived.Done()
		arrived.Wait()
		ok(w)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := dynamodb.NewFromConfig(config(t, "AWS_ENDPOINT_URL", server.URL))
	for range 2 {
		arrived.Add(parallel)
		var wg sync.WaitGroup
		for range parallel {
			wg.Go(func() {
				if err := listTables(t.Context(), client); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	// The SDK's own client would keep 10 of them and open 30 more.
	if n := opened.Load(); n > parallel {
		t.Errorf("%d connections for two times %d requests, want %d", n, parallel, parallel)
	}
}

// Connections after the first resume its TLS session: that is a quarter of the
// work.
func TestSessionsAreResumed(t *testing.T) {
	t.Parallel()
	var resumed []bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		resumed = append(resumed, r.TLS.DidResume)
	}))
	server.Config.SetKeepAlivesEnabled(false)
	server.StartTLS()
	t.Cleanup(server.Close)
	client := config(t).HTTPClient.(*awshttp.BuildableClient).WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	})
	for range 2 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if !slices.Equal(resumed, []bool{false, true}) {
		t.Errorf("resumed: %v", resumed)
	}
}
