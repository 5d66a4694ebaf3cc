// Package eventschema holds result events to their published schema, in tests.
package eventschema

import (
	"bytes"
	"path/filepath"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ittybit-media/infra/bundle"
)

// Path is the schema's file, from this module's folder.
const Path = "handlers/results/events.schema.json"

var compile = sync.OnceValues(func() (*jsonschema.Schema, error) {
	root, err := bundle.FindRoot()
	if err != nil {
		return nil, err
	}
	return jsonschema.NewCompiler().Compile(filepath.Join(root, filepath.FromSlash(Path)))
})

// Validate returns what is wrong with an event, as EventBridge delivers it, or
// with the schema.
func Validate(event []byte) error {
	schema, err := compile()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(event))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
