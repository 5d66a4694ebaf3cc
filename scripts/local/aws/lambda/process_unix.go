//go:build unix && !linux

package lambda

import "syscall"

// processAttributes puts a process into a group of its own, to be killed with
// whatever it starts. Only Linux can tie its life to ours.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
