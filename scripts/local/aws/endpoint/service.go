package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// Where the local AWS claims to be.
const (
	Region  = "us-east-1"
	Account = "000000000000"
)

// ARN returns the ARN of a resource of a service.
func ARN(service, resource string) string {
	return "arn:aws:" + service + ":" + Region + ":" + Account + ":" + resource
}

// The services of [Call].
const (
	ServiceDynamoDB = "DynamoDB"
	ServiceSecrets  = "SecretsManager"
	ServiceSSM      = "SSM"
	ServiceLambda   = "Lambda"
	ServiceSQS      = "SQS"
	ServiceSTS      = "STS"
	ServiceLogs     = "CloudWatchLogs"
)

// Service is a part of AWS that a [Server] answers for.
type Service struct {
	// Name is one of the Service constants.
	Name string
	// Find names the operation that a request asks the service for; false if it
	// is for another service.
	Find func(*http.Request, []byte) (operation string, ok bool)
	// Operations are what the service can do, by the names that Find returns.
	Operations map[string]Operation
	// WriteFault answers with a fault in the service's shape. Nil: as JSON.
	WriteFault func(http.ResponseWriter, *Fault)
}

// Operation answers a request with a [Response], with any other value as JSON,
// or with a [Fault].
type Operation func(*Request) (any, error)

// Request is a request to a service.
type Request struct {
	Call
	// HTTP is the request as it came. Its body has been read.
	HTTP *http.Request
}

// Response is an answer that is no JSON, or more than that.
type Response struct {
	// Status is the HTTP status.
	Status int
	// Header is added to the answer's.
	Header http.Header
	Body   []byte
}

// Write sends the answer.
func (r Response) Write(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.Header)
	w.WriteHeader(r.Status)
	// The client has gone if this fails; it will find out by itself.
	_, _ = w.Write(r.Body)
}

// JSON is an operation that takes its parameters as JSON and refuses those that
// are not in In. The context is the request's.
func JSON[In any](f func(context.Context, In) (any, error)) Operation {
	return func(r *Request) (any, error) {
		var in In
		if err := decode(r.Body, &in); err != nil {
			return nil, err
		}
		return f(r.HTTP.Context(), in)
	}
}

func decode(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return &Fault{Type: "SerializationException", Message: fmt.Sprintf("the local pipeline does not take this request: %s", err)}
	}
	return nil
}

// Target finds the operations of a service that speaks AWS's JSON protocol: its
// requests name them in the X-Amz-Target header, after prefix and a dot.
func Target(prefix string) func(*http.Request, []byte) (string, bool) {
	return func(r *http.Request, _ []byte) (string, bool) {
		return strings.CutPrefix(r.Header.Get("X-Amz-Target"), prefix+".")
	}
}

// Call names one request.
type Call struct {
	// Service is one of the Service constants, Operation the API's name, such
	// as "PutItem".
	Service, Operation string
	// Ordinal counts the calls of this operation, from 1.
	Ordinal int
	// AccessKey is the id of the key that the request is signed with: it tells
	// callers apart.
	AccessKey string
	// Body is the request, not to be changed.
	Body []byte
}

func (c Call) name() string { return c.Service + "." + c.Operation }

// Fault is an error answer in AWS's shape.
type Fault struct {
	// Type is the error's code, such as "ValidationException".
	Type    string
	Message string
	// Status is the HTTP status; 0 means 400.
	Status int
	// QueryCode is what the error was called in the service's older query
	// protocol, if that is something else: SDKs show it as the error's code
	// (Smithy specification, "awsQueryCompatible trait").
	QueryCode string
	// Applied, on a fault from an interceptor, lets the operation happen before
	// its answer is replaced by the fault: a reply that was lost.
	Applied bool

	// Members are added to the answer, such as the row of a failed condition.
	Members map[string]any
}

func (f *Fault) Error() string { return f.Type + ": " + f.Message }

// HTTPStatus is the status to answer with.
func (f *Fault) HTTPStatus() int { return max(f.Status, http.StatusBadRequest) }

// throttling is how services throttle that do not do it with a
// ThrottlingException.
var throttling = map[string]Fault{
	ServiceDynamoDB: {Type: "ProvisionedThroughputExceededException"},
	ServiceLambda:   {Type: "TooManyRequestsException", Status: http.StatusTooManyRequests},
	ServiceSQS:      {Type: "RequestThrottled", Status: http.StatusForbidden},
	ServiceSTS:      {Type: "Throttling"},
}

// Throttled is the fault that the called service throttles with. SDKs retry it.
func Throttled(c Call) *Fault {
	f, known := throttling[c.Service]
	if !known {
		f.Type = "ThrottlingException"
	}
	f.Message = "throttled by the local pipeline"
	return &f
}

func writeFault(w http.ResponseWriter, f *Fault) {
	answer := map[string]any{"__type": f.Type, "message": f.Message}
	maps.Copy(answer, f.Members)
	w.Header().Set("X-Amzn-Errortype", f.Type)
	if f.QueryCode != "" {
		w.Header().Set("X-Amzn-Query-Error", f.QueryCode+";Sender")
	}
	write(w, f.HTTPStatus(), answer)
}

func write(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(answer) // as in Response.Write
}
