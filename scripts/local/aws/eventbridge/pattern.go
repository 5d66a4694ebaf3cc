// Package eventbridge does for the local run what EventBridge and S3 do for the
// pipeline: it builds the event of an uploaded object and decides whether a
// rule's pattern matches it.
//
// The matcher is written here because no Go library knows EventBridge's filters
// (quamina has no suffix). It refuses what it does not know rather than guess.
package eventbridge

import (
	"errors"
	"fmt"
	"ittybit-media/handlers/event"
	"strings"
	"unicode/utf8"
)

// Pattern is a compiled event pattern. It may be used by any goroutine.
type Pattern struct{ root object }

// object is a pattern's object: an event must satisfy every field.
type object []field

// field is what a pattern says about one field of an event: either an object,
// or alternatives of which one must hold.
type field struct {
	name         string
	path         []string // from the event's root, with name
	object       object
	alternatives []filter
	orAbsent     bool // one alternative is that there is no such leaf
}

func (f field) String() string { return strings.Join(f.path, ".") }

// Compile reads an event pattern. What EventBridge would refuse and what is not
// supported here is an error that names the key: empty objects and arrays, a
// value outside an array, a key said twice, an unknown filter, a pattern over
// [event.MaxPattern] characters.
func Compile(pattern []byte) (*Pattern, error) {
	if n := utf8.RuneCount(pattern); n > event.MaxPattern {
		return nil, fmt.Errorf("event pattern: %d characters; EventBridge takes at most %d", n, event.MaxPattern)
	}
	value, err := decode(pattern)
	if err != nil {
		return nil, fmt.Errorf("event pattern: %w", err)
	}
	top, ok := value.([]member)
	if !ok {
		return nil, errors.New("event pattern: must be a JSON object")
	}
	root, err := compileObject(top, nil)
	if err != nil {
		return nil, fmt.Errorf("event pattern: %w", err)
	}
	return &Pattern{root}, nil
}

func compileObject(members []member, path []string) (object, error) {
	if len(members) == 0 {
		return nil, fmt.Errorf("%s is empty: say what it must hold", at(path))
	}
	fields := make(object, 0, len(members))
	for _, m := range members {
		f, err := compileField(m, path)
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func compileField(m member, parent []string) (field, error) {
	f := field{name: m.name, path: append(parent[:len(parent):len(parent)], m.name)}
	if strings.HasPrefix(m.name, "$") {
		return f, fmt.Errorf("%s: operators over fields are not supported here", f)
	}
	var err error
	switch value := m.value.(type) {
	case []member:
		f.object, err = compileObject(value, f.path)
		return f, err
	case []any:
		if len(value) == 0 {
			return f, fmt.Errorf("%s is an empty array: name at least one value", f)
		}
		for i, alternative := range value {
			compiled, err := compileFilter(alternative)
			if err != nil {
				return f, fmt.Errorf("%s[%d]: %w", f, i, err)
			}
			f.alternatives = append(f.alternatives, compiled)
			f.orAbsent = f.orAbsent || compiled.absent
		}
		return f, nil
	default:
		return f, fmt.Errorf("%s: a value must stand in an array, as in [%s]", f, quote(value))
	}
}

func at(path []string) string {
	if len(path) == 0 {
		return "the pattern"
	}
	return strings.Join(path, ".")
}

// quote renders a leaf as JSON, for messages.
func quote(leaf any) string { return string(encode(leaf)) }
