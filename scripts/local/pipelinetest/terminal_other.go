//go:build !linux

package pipelinetest

import (
	"os"
	"testing"
)

// Terminal is one at which somebody types the text.
func Terminal(t testing.TB, _ string) *os.File {
	t.Skip("terminals are made on Linux only")
	return nil
}
