//go:build unix

package lambda

import (
	"os"
	"syscall"
)

// killGroup kills the group that a process leads.
func killGroup(leader *os.Process) error { return syscall.Kill(-leader.Pid, syscall.SIGKILL) }
