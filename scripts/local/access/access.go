// Package access is how the scripts find the local pipeline that is going on:
// it leaves a file that says where its services are and what a script would
// otherwise read from a deployed stack's outputs.
package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/atomicfile"
)

// Access is what a script needs to know of a running local run.
type Access struct {
	Outputs   stack.Outputs `json:"outputs"` // as a deployed stack's
	AWSURL    string        `json:"awsUrl"`  // of every service but S3
	S3URL     string        `json:"s3Url"`   // path style
	AccessKey string        `json:"accessKey"`
	SecretKey string        `json:"secretKey"`
	PID       int           `json:"pid"` // of the local pipeline
}

// The errors of [Read] that the user can put right.
var (
	ErrNone  = errors.New("there is no local run: start one with `go run ./scripts/local`")
	ErrEnded = errors.New("the local pipeline has ended: start another with `go run ./scripts/local`")
)

// File is where the local pipeline of the checkout at root leaves its access.
// Like everything in that folder, it may be deleted at any time.
func File(root string) string { return filepath.Join(root, ".build", "local.json") }

// Write leaves the access at path, for its user alone: it has a key in it. A
// reader finds it whole or not at all. Of two local runs the one that starts
// later takes the place of the other, which goes on without being found: as
// with a deployed stack of one name, there is one to speak of.
func (a Access) Write(path string) error {
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return fmt.Errorf("the local pipeline's access: %w", err)
	}
	if err := atomicfile.Write(path, append(text, '\n')); err != nil {
		return fmt.Errorf("the local pipeline cannot leave word for the scripts: %w", err)
	}
	return nil
}

// Remove takes the access away from path, unless it is another run's by now.
func (a Access) Remove(path string) error {
	there, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if there.PID != a.PID || there.AWSURL != a.AWSURL {
		return nil
	}
	return os.Remove(path)
}

// Read finds the local pipeline by what it left at path. The error is
// [ErrNone], [ErrEnded], or about the file.
func Read(path string) (Access, error) {
	a, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Access{}, ErrNone
	}
	if err != nil {
		return Access{}, err
	}
	if !running(a.PID) { // it was killed, or its file would be gone
		return Access{}, ErrEnded
	}
	return a, nil
}

func read(path string) (Access, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Access{}, err
	}
	var a Access
	if err := json.Unmarshal(text, &a); err != nil {
		return Access{}, fmt.Errorf("%s is not what a local pipeline leaves; delete it and start the local pipeline again: %w", path, err)
	}
	return a, nil
}

// running tells whether there is a process. Where there are no signals, looking
// for it is enough.
func running(pid int) bool {
	if pid <= 0 { // to a signal, these are groups of processes
		return false
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = process.Signal(syscall.Signal(0))
	return !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH)
}
