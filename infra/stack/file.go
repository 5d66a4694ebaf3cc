package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"ittybit-media/handlers/media"
)

// regionKey is the AWS provider's key for its region.
const regionKey = "aws:region"

// File is what a stack file says.
type File struct {
	Values map[string]any // of the namespace's keys, for [Parse]
	Region string         // in which the stack is; "": it does not say
	// Ciphers are the encrypted values of other namespaces' keys; those of ours
	// are [Parse]'s.
	Ciphers media.Problems
}

// ReadFile returns the values of the namespace's keys in a stack file. As in
// Pulumi, a key without a namespace is one of them.
func ReadFile(path string) (map[string]any, error) {
	f, err := Open(path)
	return f.Values, err
}

// Open reads a stack file; see [ReadFile].
func Open(path string) (File, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, fmt.Errorf("there is no stack file %s%s", path, others(path))
	} else if err != nil {
		return File{}, err
	}
	var file struct {
		Config map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return File{}, fmt.Errorf("%s is not a stack file: %w", path, err)
	}
	f := File{Values: map[string]any{}}
	for _, name := range slices.Sorted(maps.Keys(file.Config)) {
		value := file.Config[name]
		if key, ours := strings.CutPrefix(name, Namespace+":"); ours || !strings.Contains(name, ":") {
			f.Values[key] = value
			continue
		}
		for _, path := range ciphers(name, value) {
			f.Ciphers.Addf(path, isEncrypted)
		}
	}
	f.Region, _ = file.Config[regionKey].(string)
	return f, nil
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
