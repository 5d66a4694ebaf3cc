// Package apigateway is an emulator of API Gateway: an HTTP API with one route
// to one function, with payload format 2.0.
//
// The translation is written here because no Go library does it in this
// direction: they turn events into requests, for servers that run on Lambda.
package apigateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	smithyrand "github.com/aws/smithy-go/rand"

	"ittybit-media/scripts/local/aws/lambda"
)

// Limits of an HTTP API (Amazon API Gateway Developer Guide, "Quotas for
// configuring and running an HTTP API in API Gateway").
const (
	MaxBodyBytes       = 10 << 20
	MaxHeadBytes       = 10240 // request line and headers
	IntegrationTimeout = 30 * time.Second
)

// stage is the one that adds nothing to the path.
const stage = "$default"

// Invoker runs a function.
type Invoker interface {
	// Invoke returns what the function answered, or its own error. The error
	// says that there is no answer, or is ctx's cause.
	Invoke(ctx context.Context, payload []byte) (lambda.Result, error)
}

var _ Invoker = (*lambda.Function)(nil)

// Config describes an API.
type Config struct {
	Function Invoker
	Route    string // route key: method and path without variables, as in "POST /webhook"
	Account  string // AWS account in the request context
	// Now is the time in the request context; nil is the wall clock.
	Now func() time.Time
}

type gateway struct {
	cfg          Config
	method, path string
}

// Handler serves the API. An error says what is wrong with the configuration.
func Handler(cfg Config) (http.Handler, error) {
	method, path, ok := strings.Cut(cfg.Route, " ")
	if !ok || method == "" || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "{} ") {
		return nil, fmt.Errorf("apigateway: route %q: want a method and a path without variables, as in \"POST /webhook\"", cfg.Route)
	}
	if cfg.Function == nil {
		return nil, errors.New("apigateway: no function")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &gateway{cfg, method, path}, nil
}

// ServeHTTP answers one request.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, _ := smithyrand.NewUUID(rand.Reader).GetUUID() // crypto/rand never fails
	answer := g.answer(w, r, id)
	w.Header().Set("Apigw-Requestid", id)
	answer.write(w)
}

func (g *gateway) answer(w http.ResponseWriter, r *http.Request, id string) response {
	if headBytes(r) > MaxHeadBytes {
		return message(http.StatusRequestHeaderFieldsTooLarge)
	}
	if r.Method != g.method || r.URL.Path != g.path {
		return message(http.StatusNotFound)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBodyBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return message(http.StatusRequestEntityTooLarge)
	}
	if err != nil {
		return message(http.StatusBadRequest)
	}
	event, err := g.event(r, body, id)
	if err != nil {
		return message(http.StatusInternalServerError)
	}

	// The client may hang up: the function was invoked all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), IntegrationTimeout)
	defer cancel()
	result, err := g.cfg.Function.Invoke(ctx, event)
	switch {
	case err != nil && ctx.Err() != nil:
		return message(http.StatusServiceUnavailable)
	case err != nil || result.FunctionError != "":
		return message(http.StatusInternalServerError)
	}
	answer, err := decode(result.Payload)
	if err != nil {
		return message(http.StatusInternalServerError)
	}
	return answer
}

// headBytes is about what the request line and the headers took.
func headBytes(r *http.Request) int {
	size := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("  \r\n") + len("Host: \r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	return size
}
