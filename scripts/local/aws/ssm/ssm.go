// Package ssm is an emulator of Parameter Store: SecureString parameters that
// are read.
package ssm

import (
	"context"
	"strings"
	"sync"

	"ittybit-media/scripts/local/aws/endpoint"
)

const parameterPrefix = ":parameter/"

// Parameters holds parameters by name. Its methods may be called concurrently.
type Parameters struct {
	mu     sync.Mutex
	values map[string]string
}

// parameterName is the name in an ARN. Names with a slash inside start with
// one, which the ARN leaves out.
func parameterName(id string) string {
	_, name, isARN := strings.Cut(id, parameterPrefix)
	switch {
	case !isARN:
		return id
	case strings.Contains(name, "/"):
		return "/" + name
	}
	return name
}

// New makes a Parameter Store without parameters.
func New() *Parameters { return &Parameters{values: map[string]string{}} }

// Set gives the SecureString parameter a value. It is found by name or by ARN.
func (p *Parameters) Set(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values[parameterName(name)] = value
}

// API is Parameter Store's API.
func (p *Parameters) API() endpoint.Service {
	return endpoint.Service{
		Name:       endpoint.ServiceSSM,
		Find:       endpoint.Target("AmazonSSM"),
		Operations: map[string]endpoint.Operation{"GetParameter": endpoint.JSON(p.get)},
	}
}

func (p *Parameters) get(_ context.Context, in struct {
	Name           string
	WithDecryption bool
}) (any, error) {
	name := parameterName(in.Name)
	p.mu.Lock()
	value, known := p.values[name]
	p.mu.Unlock()
	if !known {
		// The API model's error is empty; the message is what AWS's own answer
		// lacks.
		return nil, &endpoint.Fault{Type: "ParameterNotFound", Message: "the local pipeline has no such parameter"}
	}
	if !in.WithDecryption {
		// AWS answers with ciphertext, which is no use; so is this.
		value = "ciphertext: ask WithDecryption"
	}
	return map[string]any{"Parameter": map[string]any{
		"Name": name, "Type": "SecureString", "Value": value, "Version": 1, "DataType": "text",
		"ARN": endpoint.ARN("ssm", "parameter/"+strings.TrimPrefix(name, "/")),
	}}, nil
}
