package eventbridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Matches reports whether the pattern matches the event. An event that is not
// one JSON object is an error.
func (p *Pattern) Matches(event []byte) (bool, error) {
	reason, err := p.mismatch(event)
	return err == nil && reason == "", err
}

// Explain says why the pattern does not match the event, naming the first field
// that differs. It is empty if the pattern matches.
func (p *Pattern) Explain(event []byte) string {
	reason, err := p.mismatch(event)
	if err != nil {
		return err.Error()
	}
	return reason
}

func (p *Pattern) mismatch(event []byte) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(event))
	dec.UseNumber()
	var root map[string]any
	if err := dec.Decode(&root); err != nil {
		return "", fmt.Errorf("event: not a JSON object: %w", err)
	}
	if root == nil {
		return "", errors.New("event: null, not a JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("event: something follows the JSON object")
	}
	return p.root.mismatch(root, root), nil
}

// mismatch returns why value, found in root, does not satisfy o; or "". A value
// that is no object satisfies what an empty one would: only absence.
func (o object) mismatch(value any, root map[string]any) string {
	if elements, ok := value.([]any); ok && len(elements) > 0 {
		var first string
		for i, element := range elements {
			reason := o.mismatch(element, root)
			if reason == "" {
				return ""
			}
			if i == 0 {
				first = reason
			}
		}
		return first
	}
	members, _ := value.(map[string]any)
	for _, f := range o {
		var reason string
		if f.object != nil {
			reason = f.object.mismatch(members[f.name], root)
		} else {
			reason = f.mismatch(members[f.name], members, root)
		}
		if reason != "" {
			return reason
		}
	}
	return ""
}

// mismatch compares a leaf. Rules see leaves only: an object, an empty array or
// nothing at all is "no such leaf".
func (f field) mismatch(value any, parent, root map[string]any) string {
	_, present := parent[f.name]
	found := 0
	for leaf := range leaves(value, present) {
		if anyMatches(f.alternatives, leaf) {
			return ""
		}
		found++
	}
	switch {
	case found > 0:
		return fmt.Sprintf("%s %s matches none of %s", f, quote(value), list(f.alternatives))
	case f.orAbsent && !hasLeaf(root, f.path):
		return ""
	case present:
		return fmt.Sprintf("%s is no single value; wanted %s", f, list(f.alternatives))
	default:
		return fmt.Sprintf("%s is missing; wanted %s", f, list(f.alternatives))
	}
}

// leaves yields the value, or what an array holds at any depth, without objects.
func leaves(value any, present bool) iter.Seq[any] {
	return func(yield func(any) bool) {
		if present {
			yieldLeaves(value, yield)
		}
	}
}

func yieldLeaves(value any, yield func(any) bool) bool {
	switch value := value.(type) {
	case map[string]any:
		return true
	case []any:
		for _, element := range value {
			if !yieldLeaves(element, yield) {
				return false
			}
		}
		return true
	default:
		return yield(value)
	}
}

// hasLeaf reports whether there is a leaf at path, in whichever element of the
// arrays on the way: absence is a matter of the whole event.
func hasLeaf(value any, path []string) bool {
	if elements, ok := value.([]any); ok && len(path) > 0 {
		for _, element := range elements {
			if hasLeaf(element, path) {
				return true
			}
		}
		return false
	}
	if len(path) == 0 {
		for range leaves(value, true) {
			return true
		}
		return false
	}
	members, _ := value.(map[string]any)
	child, present := members[path[0]]
	return present && hasLeaf(child, path[1:])
}
