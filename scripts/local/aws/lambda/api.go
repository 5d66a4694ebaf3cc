package lambda

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ittybit-media/scripts/local/aws/endpoint"
)

// concurrency is an account's quota of concurrent executions, and what of it is
// not reserved (AWS Lambda Developer Guide, "Lambda quotas").
const concurrency = 1000

// API returns Lambda's API in front of functions, as far as the scripts use it
// (AWS Lambda API Reference).
func API(functions ...*Function) endpoint.Service {
	a := api(functions)
	return endpoint.Service{
		Name: endpoint.ServiceLambda,
		Find: find,
		Operations: map[string]endpoint.Operation{
			"Invoke":             a.invoke,
			"GetAccountSettings": a.settings,
		},
	}
}

type api []*Function

// The paths of the API, with the versions that they have.
const (
	functionsPath = "/2015-03-31/functions/"
	settingsPath  = "/2016-08-19/account-settings"
)

// find knows the operations by method and path. Of the others under these
// paths, it says which they are not.
func find(r *http.Request, _ []byte) (operation string, ok bool) {
	if r.URL.Path == settingsPath && r.Method == http.MethodGet {
		return "GetAccountSettings", true
	}
	_, what, ok := functionIn(r)
	if !ok {
		return "", false
	}
	if r.Method == http.MethodPost && what == "invocations" {
		return "Invoke", true
	}
	return r.Method + " " + r.URL.Path, true
}

// functionIn is the function that a path names, escaped as ARNs need it, and
// what comes after it; false if it names none.
func functionIn(r *http.Request) (name, what string, ok bool) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), functionsPath)
	if !ok {
		return "", "", false
	}
	name, what, _ = strings.Cut(rest, "/")
	name, err := url.PathUnescape(name)
	return name, what, err == nil && name != ""
}

// function finds what an invocation names, by name or ARN. Parameters are
// refused, versions among them, and headers that are not known.
func (a api) function(r *endpoint.Request) (*Function, error) {
	for name := range r.HTTP.URL.Query() {
		return nil, unsupported("the parameter " + name)
	}
	for name := range r.HTTP.Header {
		if strings.HasPrefix(name, "X-Amz-") && !slices.Contains(headers, name) {
			return nil, unsupported("the header " + name)
		}
	}
	id, _, _ := functionIn(r.HTTP)
	for _, f := range a {
		if id == f.cfg.Name || id == f.cfg.ARN {
			return f, nil
		}
	}
	return nil, &endpoint.Fault{Type: "ResourceNotFoundException", Message: "Function not found: " + id, Status: http.StatusNotFound}
}

// headers are those that an invocation may have: of its own and of signing.
var headers = []string{typeHeader, "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "X-Amz-User-Agent"}

func unsupported(what string) error {
	return &endpoint.Fault{Type: "InvalidParameterValueException", Message: "the local pipeline does not know " + what}
}

// The headers of an invocation and its answer (AWS Lambda API Reference,
// "Invoke").
const (
	typeHeader    = "X-Amz-Invocation-Type"
	errorHeader   = "X-Amz-Function-Error"
	versionHeader = "X-Amz-Executed-Version"
	requestHeader = "X-Amzn-Requestid"
)

func (a api) invoke(r *endpoint.Request) (any, error) {
	f, err := a.function(r)
	if err != nil {
		return nil, err
	}
	payload := r.Body
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	switch kind := r.HTTP.Header.Get(typeHeader); kind {
	case "", "RequestResponse":
		result, err := f.Invoke(r.HTTP.Context(), payload)
		if err != nil {
			return nil, refusal(err)
		}
		answer := response(http.StatusOK, result.RequestID, result.Payload)
		if result.FunctionError != "" {
			answer.Header.Set(errorHeader, result.FunctionError)
		}
		return answer, nil
	case "Event":
		id, err := f.InvokeAsync(payload)
		if err != nil {
			return nil, refusal(err)
		}
		return response(http.StatusAccepted, id, nil), nil
	default:
		return nil, unsupported("the invocation type " + kind)
	}
}

func response(status int, requestID string, payload []byte) endpoint.Response {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(versionHeader, version)
	header.Set(requestHeader, requestID)
	return endpoint.Response{Status: status, Header: header, Body: payload}
}

// refusal is what Lambda says of an event that it does not take.
func refusal(err error) error {
	fault := &endpoint.Fault{Type: "ServiceException", Message: err.Error(), Status: http.StatusInternalServerError}
	switch {
	case errors.Is(err, ErrTooLarge):
		fault.Type, fault.Status = "RequestTooLargeException", http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrNotJSON):
		fault.Type, fault.Status = "InvalidRequestContentException", http.StatusBadRequest
	case errors.Is(err, ErrQueueFull):
		fault.Type, fault.Status = "TooManyRequestsException", http.StatusTooManyRequests
	}
	return fault
}

func (a api) settings(*endpoint.Request) (any, error) {
	return map[string]any{
		"AccountLimit": map[string]any{"ConcurrentExecutions": concurrency, "UnreservedConcurrentExecutions": concurrency},
		"AccountUsage": map[string]any{"FunctionCount": len(a)},
	}, nil
}
