// Package atomicfile writes files that a reader finds whole or not at all.
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// Write puts the text at path in the place of what is there, for the user alone
// to read. It makes the folder. The file reaches the disk before it gets its
// name: else, after a power cut, the name could be of an empty file, and what
// it replaced would be lost.
func Write(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, filepath.Base(path)+"-") // with mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
