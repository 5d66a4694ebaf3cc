package lambda_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/lambda"
)

// serve is Lambda's API in front of functions, and a client of it.
func serve(t *testing.T, functions ...*lambda.Function) (*endpoint.Server, *awslambda.Client) {
	t.Helper()
	s, client := endpointtest.Serve(t, lambda.API(functions...))
	return s, awslambda.NewFromConfig(client)
}

func status(err error) int {
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}

func TestInvokingThroughTheAPI(t *testing.T) {
	t.Parallel()
	_, client := serve(t, start(t, lambda.Config{}))
	const payload = "{ \"do\" : \"echo\",\n\t\"text\": \"<é>\" }"
	for _, name := range []string{"test", arn} {
		out, err := client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: &name, Payload: []byte(payload)})
		if err != nil || out.StatusCode != 200 || string(out.Payload) != payload || out.FunctionError != nil || *out.ExecutedVersion != "$LATEST" {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	out, err := client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("test"), Payload: []byte(`{"do":"fail"}`)})
	if err != nil || out.StatusCode != 200 || aws.ToString(out.FunctionError) != "Unhandled" || !strings.Contains(string(out.Payload), "it was told to fail") {
		t.Errorf("a failure: %+v, %v", out, err)
	}
	if out, err = client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("test")}); err != nil || out.FunctionError != nil {
		t.Errorf("no payload: %+v, %v", out, err)
	}
}

func TestAsynchronouslyThroughTheAPI(t *testing.T) {
	t.Parallel()
	failed := make(chan []byte, 1)
	f := start(t, lambda.Config{OnFailure: func(envelope []byte) { failed <- envelope }})
	_, client := serve(t, f)
	out, err := client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("test"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`{"do":"fail"}`)})
	if err != nil || out.StatusCode != 202 || len(out.Payload) != 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	if envelope := <-failed; !strings.Contains(string(envelope), `"requestPayload":{"do":"fail"}`) {
		t.Errorf("the destination got %s", envelope)
	}
	if n := f.Stats().Invocations; n != 1 {
		t.Errorf("%d invocations", n)
	}
}

func TestWhatTheAPIRefuses(t *testing.T) {
	t.Parallel()
	_, client := serve(t, start(t, lambda.Config{}))
	event, sync := types.InvocationTypeEvent, types.InvocationTypeRequestResponse
	text := func(bytes int) []byte { return []byte(`"` + strings.Repeat("x", bytes-2) + `"`) }
	for name, tt := range map[string]struct {
		in     awslambda.InvokeInput
		code   string
		status int
	}{
		"no such function":      {awslambda.InvokeInput{FunctionName: aws.String("none")}, "ResourceNotFoundException", 404},
		"in another account":    {awslambda.InvokeInput{FunctionName: aws.String(strings.Replace(arn, "1234", "4321", 1))}, "ResourceNotFoundException", 404},
		"a version":             {awslambda.InvokeInput{FunctionName: aws.String("test"), Qualifier: aws.String("7")}, "InvalidParameterValueException", 400},
		"no JSON":               {awslambda.InvokeInput{Payload: []byte("{")}, "InvalidRequestContentException", 400},
		"no JSON, queued":       {awslambda.InvokeInput{Payload: []byte("{"), InvocationType: event}, "InvalidRequestContentException", 400},
		"too large":             {awslambda.InvokeInput{Payload: text(lambda.MaxPayload + 1), InvocationType: sync}, "RequestTooLargeException", 413},
		"too large to queue":    {awslambda.InvokeInput{Payload: text(lambda.MaxAsyncPayload + 1), InvocationType: event}, "RequestTooLargeException", 413},
		"with the log's tail":   {awslambda.InvokeInput{LogType: types.LogTypeTail}, "InvalidParameterValueException", 400},
		"with a client context": {awslambda.InvokeInput{ClientContext: aws.String("e30=")}, "InvalidParameterValueException", 400},
		"another type":          {awslambda.InvokeInput{InvocationType: "Sometime"}, "InvalidParameterValueException", 400},
	} {
		if tt.in.FunctionName == nil {
			tt.in.FunctionName = aws.String("test")
		}
		if _, err := client.Invoke(t.Context(), &tt.in); endpointtest.Code(err) != tt.code || status(err) != tt.status {
			t.Errorf("%s: %v, want %d %s", name, err, tt.status, tt.code)
		}
	}
	if _, err := client.ListFunctions(t.Context(), &awslambda.ListFunctionsInput{}); endpointtest.Code(err) != "UnknownOperationException" {
		t.Errorf("an operation that is not there: %v", err)
	}
	if _, err := client.GetPolicy(t.Context(), &awslambda.GetPolicyInput{FunctionName: aws.String("test")}); endpointtest.Code(err) != "UnknownOperationException" {
		t.Errorf("another: %v", err)
	}
}

func TestTheAccount(t *testing.T) {
	t.Parallel()
	_, client := serve(t)
	s, err := client.GetAccountSettings(t.Context(), &awslambda.GetAccountSettingsInput{})
	if err != nil || s.AccountLimit.ConcurrentExecutions != 1000 || *s.AccountLimit.UnreservedConcurrentExecutions != 1000 {
		t.Errorf("settings %+v, %v", s, err)
	}
}

func TestFaultsOfTheAPI(t *testing.T) {
	t.Parallel()
	f := start(t, lambda.Config{})
	s, client := serve(t, f)
	in := &awslambda.InvokeInput{FunctionName: aws.String("test"), Payload: []byte(`{"do":"echo"}`)}
	denied := &endpoint.Fault{Type: "AccessDeniedException", Message: "not allowed", Status: 403}
	lost := &endpoint.Fault{Type: "ServiceException", Message: "lost", Status: 500, Applied: true}
	for _, tt := range []struct {
		fault       *endpoint.Fault
		code        string
		invocations int
	}{{denied, "AccessDeniedException", 0}, {endpoint.Throttled(endpoint.Call{Service: endpoint.ServiceLambda}), "TooManyRequestsException", 0}, {lost, "ServiceException", 1}} {
		s.Intercept(func(_ context.Context, c endpoint.Call) error {
			if c.Service != endpoint.ServiceLambda || c.Operation != "Invoke" || c.AccessKey != endpointtest.AccessKey || string(c.Body) != string(in.Payload) {
				t.Errorf("call %+v", c)
			}
			return tt.fault
		})
		if _, err := client.Invoke(t.Context(), in); endpointtest.Code(err) != tt.code || f.Stats().Invocations != tt.invocations {
			t.Errorf("%v after %d invocations, want %s after %d", err, f.Stats().Invocations, tt.code, tt.invocations)
		}
	}
	if n := s.Calls()["Lambda.Invoke"]; n != 3 {
		t.Errorf("%d calls", n)
	}
	f.Close()
	s.Intercept(nil)
	if _, err := client.Invoke(t.Context(), in); endpointtest.Code(err) != "ServiceException" || status(err) != 500 {
		t.Errorf("after Close: %v", err)
	}
}
