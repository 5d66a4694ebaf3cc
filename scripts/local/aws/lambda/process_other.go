//go:build !unix

package lambda

import (
	"os"
	"syscall"
)

func processAttributes() *syscall.SysProcAttr { return nil }

// killGroup kills the process alone: there are no groups here.
func killGroup(leader *os.Process) error { return leader.Kill() }
