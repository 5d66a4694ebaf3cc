package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ReadFile returns the values of the namespace's keys in a stack file. As in
// Pulumi, a key without a namespace is one of them.
func ReadFile(path string) (map[string]any, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no stack file %s%s", path, others(path))
	} else if err != nil {
		return nil, err
	}
	var file struct {
		Config map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%s is not a stack file: %w", path, err)
	}
	values := map[string]any{}
	for name, value := range file.Config {
		key, ours := strings.CutPrefix(name, Namespace+":")
		if ours || !strings.Contains(name, ":") {
			values[key] = value
		}
	}
	return values, nil
}

// others names the stack files that there are.
func others(path string) string {
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "Pulumi.*.yaml"))
	if len(found) == 0 {
		return ""
	}
	for i, f := range found {
		found[i] = filepath.Base(f)
	}
	return "; there are " + strings.Join(found, ", ")
}
