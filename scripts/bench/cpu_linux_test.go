package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestAProcessWithAShareOfACore(t *testing.T) {
	t.Parallel()
	group, err := newCPUGroup(0.5)
	if err != nil {
		t.Skipf("this process may not make control groups: %v", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var out bytes.Buffer
	cmd := exec.Command("cat", "/proc/self/cgroup")
	cmd.Stdout, cmd.SysProcAttr = &out, &syscall.SysProcAttr{}
	if err := group.start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(group.dir)
	if !strings.Contains(out.String(), name) {
		t.Errorf("the process is in\n%s", out.String())
	}
	own, err := os.ReadFile("/proc/thread-self/cgroup")
	if err != nil || strings.Contains(string(own), name) {
		t.Errorf("the thread is still in\n%s%v", own, err)
	}
	group.remove()
	if _, err := os.Stat(group.dir); !os.IsNotExist(err) {
		t.Errorf("the group is left: %v", err)
	}
}
