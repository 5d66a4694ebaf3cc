package lambda

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ittybit-media/scripts/local/aws/endpoint"
)

// concurrency is an account's quota of concurrent executions, and what of it is
// not reserved (AWS Lambda Developer Guide, "Lambda quotas").
const concurrency = 1000

// API is Lambda's API in front of functions, for the callers that are not parts
// of the pipeline (AWS Lambda API Reference).
func API(functions ...*Function) endpoint.Service {
	a := api(functions)
	return endpoint.Service{
		Name: endpoint.ServiceLambda,
		Find: find,
		Operations: map[string]endpoint.Operation{
			"Invoke":                   a.invoke,
			"GetFunction":              a.get,
			"GetFunctionConfiguration": a.configuration,
			"GetAccountSettings":       a.settings,
		},
	}
}

type api []*Function

// The paths of the API, with the versions that they have.
const (
	functionsPath = "/2015-03-31/functions/"
	settingsPath  = "/2016-08-19/account-settings"
)

// find knows the operations by method and path. Of the others under these paths,
// it says which they are not.
func find(r *http.Request, _ []byte) (operation string, ok bool) {
	if r.URL.Path == settingsPath && r.Method == http.MethodGet {
		return "GetAccountSettings", true
	}
	_, what, ok := functionIn(r)
	if !ok {
		return "", false
	}
	operation, known := map[string]string{
		"POST invocations":  "Invoke",
		"GET ":              "GetFunction",
		"GET configuration": "GetFunctionConfiguration",
	}[r.Method+" "+what]
	if !known {
		return r.Method + " " + r.URL.Path, true
	}
	return operation, true
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

// function finds what a request names: by name, partial or whole ARN, with or
// without the one version there is. Parameters beside known ones are refused.
func (a api) function(r *endpoint.Request, known ...string) (*Function, error) {
	for name := range r.HTTP.URL.Query() {
		if name != "Qualifier" {
			return nil, unsupported("the parameter " + name)
		}
	}
	for name := range r.HTTP.Header {
		if strings.HasPrefix(name, "X-Amz-") && !slices.Contains(signing, name) && !slices.Contains(known, name) {
			return nil, unsupported("the header " + name)
		}
	}
	id, _, _ := functionIn(r.HTTP)
	qualifier := r.HTTP.URL.Query().Get("Qualifier")
	for _, f := range a {
		parts := strings.SplitN(f.cfg.ARN, ":", 5) // the last is ACCOUNT:function:NAME
		for _, form := range []string{f.cfg.Name, parts[len(parts)-1], f.cfg.ARN} {
			if (id == form && (qualifier == "" || qualifier == version)) || (id == form+":"+version && qualifier == "") {
				return f, nil
			}
		}
	}
	if qualifier != "" {
		id += ":" + qualifier
	}
	return nil, &endpoint.Fault{Type: "ResourceNotFoundException", Message: "Function not found: " + id, Status: http.StatusNotFound}
}

// signing are the headers that every signed request may have.
var signing = []string{"X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "X-Amz-User-Agent"}

func unsupported(what string) error {
	return &endpoint.Fault{Type: "InvalidParameterValueException", Message: "the local run does not know " + what}
}

// The headers of an invocation and its answer (AWS Lambda API Reference,
// "Invoke").
const (
	typeHeader    = "X-Amz-Invocation-Type"
	logHeader     = "X-Amz-Log-Type"
	errorHeader   = "X-Amz-Function-Error"
	versionHeader = "X-Amz-Executed-Version"
	requestHeader = "X-Amzn-Requestid"
)

func (a api) invoke(r *endpoint.Request) (any, error) {
	f, err := a.function(r, typeHeader, logHeader)
	if err != nil {
		return nil, err
	}
	if kind := r.HTTP.Header.Get(logHeader); kind != "" && kind != "None" {
		return nil, unsupported("the log type " + kind)
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
	case "DryRun":
		if err := checkPayload(payload, MaxPayload); err != nil {
			return nil, refusal(err)
		}
		return response(http.StatusNoContent, "", nil), nil
	default:
		return nil, unsupported("the invocation type " + kind)
	}
}

func response(status int, requestID string, payload []byte) endpoint.Response {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(versionHeader, version)
	if requestID != "" {
		header.Set(requestHeader, requestID)
	}
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

func (a api) get(r *endpoint.Request) (any, error) {
	f, err := a.function(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Configuration": f.describe()}, nil
}

func (a api) configuration(r *endpoint.Request) (any, error) {
	f, err := a.function(r)
	if err != nil {
		return nil, err
	}
	return f.describe(), nil
}

// describe leaves out what a local function has not, and the environment: a key
// is in it.
func (f *Function) describe() any {
	return map[string]any{
		"FunctionName":     f.cfg.Name,
		"FunctionArn":      f.cfg.ARN,
		"Handler":          handler,
		"LastUpdateStatus": "Successful",
		"LoggingConfig":    map[string]any{"LogGroup": LogGroup(f.cfg.Name), "LogFormat": logFormat},
		"MemorySize":       f.cfg.MemoryMB,
		"PackageType":      "Zip",
		"Runtime":          "provided.al2023",
		"State":            "Active",
		"Timeout":          int(f.cfg.Timeout / time.Second),
		"Version":          version,
	}
}

func (a api) settings(*endpoint.Request) (any, error) {
	return map[string]any{
		"AccountLimit": map[string]any{"ConcurrentExecutions": concurrency, "UnreservedConcurrentExecutions": concurrency},
		"AccountUsage": map[string]any{"FunctionCount": len(a)},
	}, nil
}
