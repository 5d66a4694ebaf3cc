package awsjson

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"
)

// account and region stand in the ARNs of what the local run has made up.
const (
	region  = "us-east-1"
	account = "000000000000"
)

// SetSecret gives the secret id a value. id is a name or an ARN; the secret is found by either. An ARN that ends in
// "-" and six characters, as Secrets Manager makes them, is also found by the name before that.
func (s *Server) SetSecret(id, value string) { s.secrets.set(id, &value) }

// SetEmptySecret makes a secret that exists and has no value, which AWS answers as ResourceNotFoundException.
func (s *Server) SetEmptySecret(id string) { s.secrets.set(id, nil) }

// SetParameter gives the SecureString parameter a value. It is found by name or by ARN.
func (s *Server) SetParameter(name, value string) { s.parameters.set(name, value) }

const (
	secretPrefix    = ":secret:"
	parameterPrefix = ":parameter/"
	suffixLength    = len("-abcdef")
)

// secrets holds values by name; a nil value is a secret without one.
type secrets struct {
	mu     sync.Mutex
	values map[string]*string
}

// secretName is the name in an ARN or, as Secrets Manager accepts it, in an ARN without the random suffix.
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

func (s *secrets) set(id string, value *string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = map[string]*string{}
	}
	s.values[secretName(id)] = value
}

func (s *secrets) operations() map[string]Operation {
	return map[string]Operation{"GetSecretValue": JSON(s.get), "DescribeSecret": JSON(s.describe)}
}

// The one version that a secret has, and its label.
const (
	secretVersion = "00000000-0000-0000-0000-000000000001"
	currentStage  = "AWSCURRENT"
)

// find is a secret's name, its ARN and its value.
func (s *secrets) find(id string) (name, arn string, value *string, err error) {
	if id == "" {
		return "", "", nil, &Fault{Type: "ValidationException", Message: "SecretId is missing"}
	}
	name, arn = secretName(id), id
	if name == id {
		arn = "arn:aws:secretsmanager:" + region + ":" + account + secretPrefix + name + "-local0"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	value, known := s.values[name]
	if !known {
		return "", "", nil, &Fault{Type: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}
	}
	return name, arn, value, nil
}

func (s *secrets) get(_ context.Context, in struct{ SecretId, VersionStage, VersionId string }) (any, error) {
	name, arn, value, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	if stage := cmp.Or(in.VersionStage, currentStage); value == nil || stage != currentStage {
		return nil, &Fault{Type: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret value for staging label: " + stage}
	}
	return map[string]any{
		"ARN": arn, "Name": name, "SecretString": *value,
		"VersionId": secretVersion, "VersionStages": []string{currentStage},
		"CreatedDate": float64(time.Now().Unix()),
	}, nil
}

// describe answers without the value. A secret that has none has no versions either.
func (s *secrets) describe(_ context.Context, in struct{ SecretId string }) (any, error) {
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

// parameters holds values by name.
type parameters struct {
	mu     sync.Mutex
	values map[string]string
}

// parameterName is the name in an ARN. Names with a slash inside start with one, which the ARN leaves out.
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

func (p *parameters) set(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.values == nil {
		p.values = map[string]string{}
	}
	p.values[parameterName(name)] = value
}

func (p *parameters) operations() map[string]Operation {
	return map[string]Operation{"GetParameter": JSON(p.get)}
}

func (p *parameters) get(_ context.Context, in struct {
	Name           string
	WithDecryption bool
}) (any, error) {
	name := parameterName(in.Name)
	p.mu.Lock()
	value, known := p.values[name]
	p.mu.Unlock()
	if !known {
		// The API model's error is empty; the message is what AWS's own answer lacks.
		return nil, &Fault{Type: "ParameterNotFound", Message: "the local run has no such parameter"}
	}
	if !in.WithDecryption {
		// AWS answers with ciphertext, which is no use; so is this.
		value = "ciphertext: ask WithDecryption"
	}
	return map[string]any{"Parameter": map[string]any{
		"Name": name, "Type": "SecureString", "Value": value, "Version": 1, "DataType": "text",
		"ARN": "arn:aws:ssm:" + region + ":" + account + parameterPrefix + strings.TrimPrefix(name, "/"),
	}}, nil
}
