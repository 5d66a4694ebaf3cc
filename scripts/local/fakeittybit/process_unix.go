//go:build darwin || linux

package fakeittybit

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup has the command end with all of its children when its context does,
// and not with a Ctrl-C that is meant for the fake, which ends it itself.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	cmd.WaitDelay = 5 * time.Second
}

// beNice leaves the machine usable. A process that has gone already needs no
// niceness.
func beNice(p *os.Process) { _ = syscall.Setpriority(syscall.PRIO_PROCESS, p.Pid, 10) }
