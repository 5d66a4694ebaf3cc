package endpoint_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	localssm "ittybit-media/scripts/local/aws/ssm"
)

// start returns an endpoint with a service that has the parameter "key", and a
// client of it.
func start(t *testing.T) (*endpoint.Server, *ssm.Client) {
	t.Helper()
	parameters := localssm.New()
	parameters.Set("key", "value")
	s, client := endpointtest.Serve(t, parameters.API())
	return s, ssm.NewFromConfig(client)
}

func TestInterceptAndCount(t *testing.T) {
	t.Parallel()
	s, client := start(t)
	var mu sync.Mutex
	var seen []string
	s.Intercept(func(_ context.Context, c endpoint.Call) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(c.Service, c.Operation, c.Ordinal))
		if c.AccessKey != endpointtest.AccessKey || !strings.Contains(string(c.Body), `"Name":`) {
			t.Errorf("a call of %q with %s", c.AccessKey, c.Body)
		}
		if c.Ordinal <= 2 {
			return endpoint.Throttled(c)
		}
		return nil
	})
	in := &ssm.GetParameterInput{Name: aws.String("key")}
	if _, err := client.GetParameter(t.Context(), in); endpointtest.Code(err) != "ThrottlingException" {
		t.Errorf("throttled: %v", err)
	}
	if _, err := client.GetParameter(t.Context(), in, func(o *ssm.Options) { o.RetryMaxAttempts = 3 }); err != nil {
		t.Errorf("the SDK does not retry the throttling: %v", err)
	}
	s.Intercept(nil)
	if _, err := client.GetParameter(t.Context(), in); err != nil {
		t.Error(err)
	}
	if calls := s.Calls(); calls["SSM.GetParameter"] != 4 {
		t.Errorf("calls %v", calls)
	}
	if want := []string{"SSMGetParameter1", "SSMGetParameter2", "SSMGetParameter3"}; !slices.Equal(seen, want) {
		t.Errorf("intercepted %v", seen)
	}
}

// A reply that is lost leaves what the operation did; a refusal leaves nothing.
func TestAFaultMayComeAfterTheOperation(t *testing.T) {
	t.Parallel()
	for name, applied := range map[string]bool{"lost": true, "refused": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := endpoint.New()
			done := 0
			s.Mount(endpoint.Service{
				Name: "Test", Find: endpoint.Target("Test"),
				Operations: map[string]endpoint.Operation{"Do": func(*endpoint.Request) (any, error) { done++; return done, nil }},
			})
			s.Intercept(func(context.Context, endpoint.Call) error {
				return &endpoint.Fault{Type: "InternalServerError", Status: http.StatusInternalServerError, Applied: applied}
			})
			req := httptest.NewRequest(http.MethodPost, "/", nil)
			req.Header.Set("X-Amz-Target", "Test.Do")
			resp := httptest.NewRecorder()
			s.ServeHTTP(resp, req)
			if resp.Code != http.StatusInternalServerError || (done == 1) != applied {
				t.Errorf("status %d, done %d times", resp.Code, done)
			}
		})
	}
}

func TestUnknownRequests(t *testing.T) {
	t.Parallel()
	s, client := start(t)
	if _, err := client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"key"}}); endpointtest.Code(err) != "UnknownOperationException" {
		t.Errorf("an operation that is not there: %v", err)
	}
	for target, body := range map[string]string{
		"":                       `{}`,                         // no target
		"AmazonSSM.GetParameter": `{"Name":"key","Segment":1}`, // a parameter that is not there
	} {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		req.Header.Set("X-Amz-Target", target)
		resp := httptest.NewRecorder()
		s.ServeHTTP(resp, req)
		if resp.Code != http.StatusBadRequest || resp.Header().Get("X-Amzn-Errortype") == "" {
			t.Errorf("%q: %d %v", target, resp.Code, resp.Header())
		}
	}
}
