// Package localaccess is how scripts get at a running local run: the local run
// leaves a file that says where it is and how to sign requests to it.
package localaccess

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ittybit-media/infra/stack"
)

// Access is what a script needs to know of a running local run. Its keys open
// nothing but that local run.
type Access struct {
	Outputs   stack.Outputs `json:"outputs"` // as a deployed stack's
	AWSURL    string        `json:"awsUrl"`  // of every service but S3
	S3URL     string        `json:"s3Url"`   // path style
	AccessKey string        `json:"accessKey"`
	SecretKey string        `json:"secretKey"`
	PID       int           `json:"pid"` // of the local run
}

// File is where the local run of the module in that folder leaves its access.
func File(root string) string { return filepath.Join(root, ".build", "local.json") }

// Write writes the file, for nobody else to read and never half written.
func (a Access) Write(path string) error {
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "local-") // 0600
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("telling the scripts where the local run is: %w", err)
	}
	return nil
}

// Read reads the file of a local run that is running.
func Read(path string) (Access, error) {
	const start = "start one in another terminal: go run ./scripts/local"
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Access{}, fmt.Errorf("there is no local run (no file %s): %s", path, start)
	} else if err != nil {
		return Access{}, err
	}
	var a Access
	if err := json.Unmarshal(data, &a); err != nil {
		return Access{}, fmt.Errorf("%s is not the file of a local run: %w", path, err)
	}
	if !isRunning(a.PID) {
		return Access{}, fmt.Errorf("the local run that wrote %s has ended: %s", path, start)
	}
	return a, nil
}
