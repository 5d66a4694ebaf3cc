package lambda

import "syscall"

// processAttributes puts a process into a group of its own, to be killed with
// whatever it starts, and lets it die with us even if we are killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
