package eventbridge

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"ittybit-media/handlers/event"
)

// Pattern is a compiled event pattern. It may be used by any goroutine.
type Pattern struct {
	fields []field // those nearest to the root first: their names say most
}

// field is a leaf of a pattern: an event must satisfy one of its filters.
type field struct {
	path    []string // names from the event's root
	filters []filter
}

func (f field) String() string { return strings.Join(f.path, ".") }

// Compile reads an event pattern. It knows exact strings, suffix with
// equals-ignore-case, exists false and anything-but a list of strings. All else
// is an error that names the field, and so is a pattern that EventBridge would
// refuse: one with an empty object or array, with a value outside an array, or
// with more than [event.MaxPattern] characters.
func Compile(pattern []byte) (*Pattern, error) {
	if n := utf8.RuneCount(pattern); n > event.MaxPattern {
		return nil, fmt.Errorf("event pattern: %d characters; EventBridge takes at most %d", n, event.MaxPattern)
	}
	root, err := decodeObject[json.RawMessage](pattern)
	p := &Pattern{}
	if err == nil {
		err = p.add(nil, root)
	}
	if err != nil {
		return nil, fmt.Errorf("event pattern: %w", err)
	}
	slices.SortFunc(p.fields, func(a, b field) int {
		return cmp.Or(cmp.Compare(len(a.path), len(b.path)), slices.Compare(a.path, b.path))
	})
	return p, nil
}

func decodeObject[V any](text []byte) (object map[string]V, err error) {
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if object == nil {
		return nil, errors.New("null, not a JSON object")
	}
	return object, nil
}

func (p *Pattern) add(path []string, object map[string]json.RawMessage) error {
	if len(object) == 0 {
		return fmt.Errorf("%q is an empty object", field{path: path})
	}
	for name, value := range object {
		f := field{path: append(slices.Clone(path), name)}
		if value[0] == '{' {
			nested, err := decodeObject[json.RawMessage](value)
			if err == nil {
				err = p.add(f.path, nested)
			}
			if err != nil {
				return err
			}
			continue
		}
		if err := json.Unmarshal(value, &f.filters); err != nil {
			return fmt.Errorf("%s: a field takes an array of strings and filters: %w", f, err)
		}
		if len(f.filters) == 0 {
			return fmt.Errorf("%s takes an array that is not empty", f)
		}
		p.fields = append(p.fields, f)
	}
	return nil
}

// Matches reports whether the pattern matches the event. An event that is not
// a JSON object, or that has an array or an object where the pattern compares a
// value, is an error.
func (p *Pattern) Matches(event []byte) (bool, error) {
	reason, err := p.mismatch(event)
	return err == nil && reason == "", err
}

// Explain returns why the pattern does not match the event, naming a field that
// differs. It returns "" if the pattern matches.
func (p *Pattern) Explain(event []byte) string {
	reason, err := p.mismatch(event)
	if err != nil {
		return err.Error()
	}
	return reason
}

func (p *Pattern) mismatch(event []byte) (string, error) {
	root, err := decodeObject[any](event)
	if err != nil {
		return "", fmt.Errorf("event: %w", err)
	}
	for _, f := range p.fields {
		if reason, err := f.mismatch(root); reason != "" || err != nil {
			return reason, err
		}
	}
	return "", nil
}

func (f field) mismatch(event map[string]any) (string, error) {
	value, present := lookUp(event, f.path)
	switch value.(type) {
	case []any, map[string]any:
		return "", fmt.Errorf("event: %s is an array or an object, which are not compared here", f)
	}
	texts := make([]string, len(f.filters))
	for i, filter := range f.filters {
		if filter.matches(value, present) {
			return "", nil
		}
		texts[i] = filter.String()
	}
	wanted := strings.Join(texts, ", ")
	if !present {
		return fmt.Sprintf("%s is missing; wanted %s", f, wanted), nil
	}
	return fmt.Sprintf("%s %s matches none of %s", f, encode(value), wanted), nil
}

// lookUp returns the value at the path, or an array that is in its way.
func lookUp(event map[string]any, path []string) (value any, present bool) {
	value, present = event, true
	for _, name := range path {
		if _, isArray := value.([]any); isArray {
			break
		}
		members, _ := value.(map[string]any)
		value, present = members[name]
	}
	return value, present
}
