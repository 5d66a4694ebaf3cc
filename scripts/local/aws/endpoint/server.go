package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
)

// Server answers for services. Its methods may be called concurrently.
type Server struct {
	mu        sync.Mutex
	services  []Service
	calls     map[string]int
	intercept func(context.Context, Call) error
}

// New makes a server without services.
func New() *Server { return &Server{calls: map[string]int{}} }

// Mount adds a service.
func (s *Server) Mount(service Service) {
	if service.WriteFault == nil {
		service.WriteFault = writeFault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services = append(s.services, service)
}

// Intercept makes f run before every operation of every service; nil removes
// it. An error from f replaces the operation: a *[Fault] is answered as it is,
// any other error as an internal one. f may wait, to delay the call; the
// context ends with the request.
func (s *Server) Intercept(f func(context.Context, Call) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Calls counts the calls so far by "Service.Operation", for example
// "DynamoDB.Query", whatever their outcome.
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// maxBody is above the largest request that any of the services takes,
// DynamoDB's 16 MB.
const maxBody = 17 << 20

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeFault(w, &Fault{Type: "SerializationException", Message: "the request's body cannot be read"})
		return
	}
	service, c := s.find(r, body)
	answer, err := s.call(service.Operations[c.Operation], &Request{c, r})
	if err != nil {
		fault, known := errors.AsType[*Fault](err)
		if !known {
			fault = &Fault{Type: "InternalServerError", Message: err.Error(), Status: http.StatusInternalServerError}
		}
		service.WriteFault(w, fault)
		return
	}
	if response, ok := answer.(Response); ok {
		response.Write(w)
		return
	}
	write(w, http.StatusOK, answer)
}

// find says which service a request is for, if any, and what it asks for.
func (s *Server) find(r *http.Request, body []byte) (Service, Call) {
	c := Call{AccessKey: accessKey(r.Header.Get("Authorization")), Body: body}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, service := range s.services {
		if operation, ok := service.Find(r, body); ok {
			c.Service, c.Operation = service.Name, operation
			return service, c
		}
	}
	return Service{WriteFault: writeFault}, c
}

// accessKey is the key id in a signature's credential,
// KEY/DATE/REGION/SERVICE/aws4_request.
func accessKey(authorization string) string {
	_, credential, _ := strings.Cut(authorization, "Credential=")
	id, _, _ := strings.Cut(credential, "/")
	return id
}

// call counts an operation and does it, with what the interceptor wants. The
// operation is nil if there is none.
func (s *Server) call(op Operation, r *Request) (any, error) {
	if op == nil {
		what := r.name()
		if r.Service == "" {
			what = r.HTTP.Method + " " + r.HTTP.URL.Path + " " + r.HTTP.Header.Get("X-Amz-Target")
		}
		return nil, &Fault{Type: "UnknownOperationException", Message: fmt.Sprintf("the local pipeline has no operation %q", what)}
	}
	s.mu.Lock()
	s.calls[r.name()]++
	r.Ordinal = s.calls[r.name()]
	intercept := s.intercept
	s.mu.Unlock()
	if intercept == nil {
		return op(r)
	}
	refused := intercept(r.HTTP.Context(), r.Call)
	if fault, ok := errors.AsType[*Fault](refused); refused != nil && (!ok || !fault.Applied) {
		return nil, refused
	}
	answer, err := op(r)
	return answer, errors.Join(refused, err)
}
