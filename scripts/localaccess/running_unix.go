//go:build unix

package localaccess

import "syscall"

// isRunning asks with signal 0, which reaches nobody.
func isRunning(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) != syscall.ESRCH }
