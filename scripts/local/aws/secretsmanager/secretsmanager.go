// Package secretsmanager is an emulator of Secrets Manager: secrets that are
// read.
package secretsmanager

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"

	"ittybit-media/scripts/local/aws/endpoint"
)

const (
	secretPrefix = ":secret:"
	suffixLength = len("-abcdef")
)

// Secrets holds secrets by name. Its methods may be called concurrently.
type Secrets struct {
	mu     sync.Mutex
	values map[string]*string // nil: a secret without one
}

// secretName is the name in an ARN or, as Secrets Manager accepts it, in an ARN
// without the random suffix.
func secretName(id string) string {
	_, name, isARN := strings.Cut(id, secretPrefix)
	if !isARN {
		return id
	}
	if cut := len(name) - suffixLength; cut > 0 && name[cut] == '-' {
		return name[:cut]
	}
	return name
}

// New makes a Secrets Manager without secrets.
func New() *Secrets { return &Secrets{values: map[string]*string{}} }

// Set gives the secret id a value. id is a name or an ARN; the secret is found
// by either. An ARN that ends in "-" and six characters, as Secrets Manager
// makes them, is also found by the name before that.
func (s *Secrets) Set(id, value string) { s.set(id, &value) }

// SetEmpty makes a secret that exists and has no value, which AWS answers as
// ResourceNotFoundException.
func (s *Secrets) SetEmpty(id string) { s.set(id, nil) }

func (s *Secrets) set(id string, value *string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[secretName(id)] = value
}

// API is Secrets Manager's API.
func (s *Secrets) API() endpoint.Service {
	return endpoint.Service{
		Name: endpoint.ServiceSecrets,
		Find: endpoint.Target("secretsmanager"),
		Operations: map[string]endpoint.Operation{
			"GetSecretValue": endpoint.JSON(s.get),
			"DescribeSecret": endpoint.JSON(s.describe),
		},
	}
}

// The one version that a secret has, and its label.
const (
	secretVersion = "00000000-0000-0000-0000-000000000001"
	currentStage  = "AWSCURRENT"
)

// find is a secret's name, its ARN and its value.
func (s *Secrets) find(id string) (name, arn string, value *string, err error) {
	if id == "" {
		return "", "", nil, &endpoint.Fault{Type: "ValidationException", Message: "SecretId is missing"}
	}
	name, arn = secretName(id), id
	if name == id {
		arn = endpoint.ARN("secretsmanager", "secret:"+name+"-local0")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	value, known := s.values[name]
	if !known {
		return "", "", nil, &endpoint.Fault{Type: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}
	}
	return name, arn, value, nil
}

func (s *Secrets) get(_ context.Context, in struct{ SecretId, VersionStage, VersionId string }) (any, error) {
	name, arn, value, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	if stage := cmp.Or(in.VersionStage, currentStage); value == nil || stage != currentStage {
		return nil, &endpoint.Fault{Type: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret value for staging label: " + stage}
	}
	return map[string]any{
		"ARN": arn, "Name": name, "SecretString": *value,
		"VersionId": secretVersion, "VersionStages": []string{currentStage},
		"CreatedDate": float64(time.Now().Unix()),
	}, nil
}

// describe answers without the value. A secret that has none has no versions
// either.
func (s *Secrets) describe(_ context.Context, in struct{ SecretId string }) (any, error) {
	name, arn, value, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"ARN": arn, "Name": name, "CreatedDate": float64(time.Now().Unix())}
	if value != nil {
		answer["VersionIdsToStages"] = map[string][]string{secretVersion: {currentStage}}
	}
	return answer, nil
}
