//go:build !linux

package pipelinetest

import (
	"os"
	"testing"
)

// Terminal returns a terminal at which a user types the text, and the user's
// end, from which what it shows can be read.
func Terminal(t testing.TB, _ string) (screen, user *os.File) {
	t.Skip("terminals are made on Linux only")
	return nil, nil
}
