// Package resultstest holds result events to their published schema, in tests.
package resultstest

import (
	"bytes"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ittybit-media/handlers/results"
)

const name = "events.schema.json"

var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(results.EventSchema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, document); err != nil {
		return nil, err
	}
	return c.Compile(name)
})

// ValidateEvent returns what is wrong with an event, as EventBridge delivers it,
// or with the schema.
func ValidateEvent(event []byte) error {
	s, err := schema()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(event))
	if err != nil {
		return err
	}
	return s.Validate(value)
}
