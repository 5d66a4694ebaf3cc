package cloud_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// document is a policy as IAM reads it.
type document struct {
	Version   string
	Statement []iamStatement
}

type iamStatement struct {
	Effect    string
	Principal map[string]string
	Action    []string
	Resource  []string
	Condition map[string]map[string]any
}

func parsePolicy(t testing.TB, text any) document {
	t.Helper()
	s, ok := text.(string)
	if !ok {
		t.Fatalf("no policy: %v", text)
	}
	var d document
	decoder := json.NewDecoder(strings.NewReader(s))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	if d.Version != "2012-10-17" || len(d.Statement) == 0 {
		t.Fatalf("version %q, %d statements", d.Version, len(d.Statement))
	}
	return d
}

// request is what somebody wants to do.
type request struct {
	action, resource string
	context          map[string]string
}

// allows evaluates the policy as IAM does, as far as this project's policies
// go; what it does not know fails the test ("Policy evaluation logic", IAM User
// Guide).
func (d document) allows(t testing.TB, r request) bool {
	t.Helper()
	allowed := false
	for _, s := range d.Statement {
		if !matchesAny(s.Action, r.action) || s.Resource != nil && !matchesAny(s.Resource, r.resource) || !s.holds(t, r.context) {
			continue
		}
		switch s.Effect {
		case "Deny":
			return false
		case "Allow":
			allowed = true
		default:
			t.Fatalf("effect %q", s.Effect)
		}
	}
	return allowed
}

// grants fails the test unless the policy allows what is true of "action
// resource", and nothing that is false.
func (d document) grants(t testing.TB, want map[string]bool) {
	t.Helper()
	for what, want := range want {
		action, resource, _ := strings.Cut(what, " ")
		if got := d.allows(t, request{action, resource, nil}); got != want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

func (s iamStatement) holds(t testing.TB, context map[string]string) bool {
	t.Helper()
	for operator, conditions := range s.Condition {
		for key, wanted := range conditions {
			value, present := context[key]
			want, ok := wanted.(string)
			if !ok {
				t.Fatalf("condition %s %s: %v", operator, key, wanted)
			}
			holds := false
			switch operator {
			case "StringEquals", "Bool":
				holds = present && value == want
			case "ArnEquals":
				holds = present && wildcard(want, value)
			case "Null":
				holds = present == (want == "false")
			default:
				t.Fatalf("condition operator %q", operator)
			}
			if !holds {
				return false
			}
		}
	}
	return true
}

func matchesAny(patterns []string, value string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return wildcard(p, value) })
}

// wildcard matches * and ? as IAM does; ${*} and the like stand for themselves.
func wildcard(pattern, value string) bool {
	if pattern == "" {
		return value == ""
	}
	if len(pattern) >= 4 && pattern[0] == '$' && pattern[1] == '{' && pattern[3] == '}' {
		return value != "" && value[0] == pattern[2] && wildcard(pattern[4:], value[1:])
	}
	switch pattern[0] {
	case '*':
		for i := range len(value) + 1 {
			if wildcard(pattern[1:], value[i:]) {
				return true
			}
		}
		return false
	case '?':
		return value != "" && wildcard(pattern[1:], value[1:])
	}
	return value != "" && pattern[0] == value[0] && wildcard(pattern[1:], value[1:])
}

func TestWildcard(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, value string
		want           bool
	}{
		{"arn:*", "arn:aws", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"key-??????", "key-AbCdEf", true},
		{"key-??????", "key-AbCdEfG", false},
		{"b/${*}/*", "b/*/x", true},
		{"b/${*}/*", "b/y/x", false},
		{"", "x", false},
	} {
		if got := wildcard(tt.pattern, tt.value); got != tt.want {
			t.Errorf("%q, %q: %v", tt.pattern, tt.value, got)
		}
	}
}

// role is the policy of the role of a handler.
func (d *deployment) role(t testing.TB, handler string) document {
	t.Helper()
	return parsePolicy(t, d.one(t, "RolePolicy", "-"+handler).at("policy"))
}
