package awsjson

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
)

// The services of [Call].
const (
	ServiceDynamoDB = "DynamoDB"
	ServiceSecrets  = "SecretsManager"
	ServiceSSM      = "SSM"
)

// Call names one request.
type Call struct {
	// Service is one of the Service constants, Operation the API's name, such as "PutItem".
	Service, Operation string
	// Ordinal counts the calls of this operation, from 1.
	Ordinal int
	// AccessKey is the id of the key that the request is signed with: it tells callers apart.
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
	// Applied, on a fault from an interceptor, lets the operation happen before its answer is replaced by the fault:
	// a reply that was lost.
	Applied bool

	item item // of a failed condition
}

func (f *Fault) Error() string { return f.Type + ": " + f.Message }

// Throttled is the fault that the called service throttles with. SDKs retry it.
func Throttled(c Call) *Fault {
	if c.Service == ServiceDynamoDB {
		return &Fault{Type: "ProvisionedThroughputExceededException", Message: "throttled by the local run"}
	}
	return &Fault{Type: "ThrottlingException", Message: "throttled by the local run"}
}

// operation answers the JSON of a request with a value for JSON, or with a [Fault].
type operation func(body []byte) (any, error)

// Server answers the three services. Its methods may be called concurrently.
type Server struct {
	operations map[string]operation
	db         *database
	secrets    secrets
	parameters parameters

	mu        sync.Mutex
	calls     map[string]int
	intercept func(context.Context, Call) error
}

// New makes a server without tables, secrets and parameters.
func New() *Server {
	s := &Server{calls: map[string]int{}, db: newDatabase()}
	s.operations = map[string]operation{
		ServiceSecrets + ".GetSecretValue": s.secrets.get,
		ServiceSSM + ".GetParameter":       s.parameters.get,
	}
	for name, op := range s.db.operations() {
		s.operations[ServiceDynamoDB+"."+name] = op
	}
	return s
}

// Intercept makes f run before every operation; nil removes it. An error from f replaces the operation: a *[Fault] is
// answered as it is, any other error as an internal one. f may wait, to delay the call; the context ends with the
// request.
func (s *Server) Intercept(f func(context.Context, Call) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Calls counts the calls so far by "Service.Operation", for example "DynamoDB.Query", whatever their outcome.
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// services maps the first half of X-Amz-Target.
var services = map[string]string{
	"DynamoDB_20120810": ServiceDynamoDB,
	"secretsmanager":    ServiceSecrets,
	"AmazonSSM":         ServiceSSM,
}

// maxBody is above the largest request that any of the services takes, DynamoDB's 16 MB.
const maxBody = 17 << 20

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	prefix, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeFault(w, &Fault{Type: "SerializationException", Message: "the request's body cannot be read"})
		return
	}
	c := Call{Service: services[prefix], Operation: name, AccessKey: accessKey(r.Header.Get("Authorization")), Body: body}
	answer, err := s.call(r.Context(), c)
	if err != nil {
		fault, known := errors.AsType[*Fault](err)
		if !known {
			fault = &Fault{Type: "InternalServerError", Message: err.Error(), Status: http.StatusInternalServerError}
		}
		writeFault(w, fault)
		return
	}
	write(w, http.StatusOK, answer)
}

// accessKey is the key id in a signature's credential, KEY/DATE/REGION/SERVICE/aws4_request.
func accessKey(authorization string) string {
	_, credential, _ := strings.Cut(authorization, "Credential=")
	id, _, _ := strings.Cut(credential, "/")
	return id
}

func (s *Server) call(ctx context.Context, c Call) (any, error) {
	op, known := s.operations[c.name()]
	if !known {
		return nil, &Fault{Type: "UnknownOperationException", Message: fmt.Sprintf("the local run has no operation %q", c.name())}
	}
	s.mu.Lock()
	s.calls[c.name()]++
	c.Ordinal = s.calls[c.name()]
	intercept := s.intercept
	s.mu.Unlock()
	if intercept == nil {
		return op(c.Body)
	}
	refused := intercept(ctx, c)
	if fault, ok := errors.AsType[*Fault](refused); refused != nil && (!ok || !fault.Applied) {
		return nil, refused
	}
	answer, err := op(c.Body)
	return answer, errors.Join(refused, err)
}

func writeFault(w http.ResponseWriter, f *Fault) {
	answer := map[string]any{"__type": f.Type, "message": f.Message}
	if f.item != nil {
		answer["Item"] = wireItem(f.item)
	}
	w.Header().Set("X-Amzn-Errortype", f.Type)
	write(w, max(f.Status, http.StatusBadRequest), answer)
}

func write(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	// The client has gone if this fails; it will find out by itself.
	_ = encoder.Encode(answer)
}

// Row is a row in a table, to be looked at in [Server.Rows] only.
type Row struct{ attributes stored }

// Text is an attribute that is a string or a number, as the protocol writes it; empty if the row has none of that
// name.
func (r Row) Text(name string) string {
	if a := r.attributes.find(name); a != nil {
		return a.text
	}
	return ""
}

// Rows calls f for every row of a table, in no order, while nothing changes: for checks that are made often. f must be
// quick and not call the server.
func (s *Server) Rows(table string, f func(Row)) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	t := s.db.tables[table]
	if t == nil {
		return
	}
	for _, partition := range t.partitions {
		for _, row := range partition {
			f(Row{row})
		}
	}
}
