package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuGroup is a control group whose processes together get a share of a core.
type cpuGroup struct {
	dir  string
	fd   *os.File // of dir, where a process can be started in it (version 2)
	home string   // where threads come from that have to join for a moment (version 1)
}

// newCPUGroup makes one. It fails where this process may not.
func newCPUGroup(share float64) (*cpuGroup, error) {
	const mount = "/sys/fs/cgroup"
	quota := strconv.FormatInt(int64(share*float64(period.Microseconds())), 10)
	each := strconv.FormatInt(period.Microseconds(), 10)
	name := fmt.Sprintf("ittybit-bench-%d-%s", os.Getpid(), quota)
	if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err == nil {
		g := &cpuGroup{dir: filepath.Join(mount, name)}
		err := errors.Join(
			set(mount, "cgroup.subtree_control", "+cpu"),
			os.Mkdir(g.dir, 0o755),
			set(g.dir, "cpu.max", quota+" "+each),
		)
		if err == nil {
			g.fd, err = os.Open(g.dir)
		}
		if err != nil {
			g.remove()
			return nil, err
		}
		return g, nil
	}
	path, err := cpuPath()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(mount, "cpu", path)
	g := &cpuGroup{dir: filepath.Join(home, name), home: home}
	err = errors.Join(
		os.Mkdir(g.dir, 0o755),
		set(g.dir, "cpu.cfs_period_us", each),
		set(g.dir, "cpu.cfs_quota_us", quota),
	)
	if err != nil {
		g.remove()
		return nil, err
	}
	return g, nil
}

// cpuPath is this process's place in the hierarchy of version 1.
func cpuPath() (string, error) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && strings.Contains(","+fields[1]+",", ",cpu,") {
			return fields[2], nil
		}
	}
	return "", errors.New("there is no control group for the CPU")
}

func set(dir, file, value string) error {
	return os.WriteFile(filepath.Join(dir, file), []byte(value), 0o600)
}

// start starts a process in the group, from a thread that nobody else uses
// meanwhile.
func (g *cpuGroup) start(cmd *exec.Cmd) (err error) {
	if g.fd != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(g.fd.Fd())
		return cmd.Start()
	}
	thread := strconv.Itoa(syscall.Gettid())
	if err := set(g.dir, "tasks", thread); err != nil {
		return err
	}
	// Later it is any thread of this process, which must not be slowed down.
	defer func() { err = errors.Join(err, set(g.home, "tasks", thread)) }()
	return cmd.Start()
}

// remove takes the group away. Its processes must be gone.
func (g *cpuGroup) remove() {
	if g.fd != nil {
		_ = g.fd.Close()
	}
	_ = syscall.Rmdir(g.dir) // what is left of it holds nobody up
}

// usageOf is what a process has used so far: the most memory it ever had, in
// bytes, and its time on the CPU.
func usageOf(pid int) (memory int64, cpu time.Duration, err error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kB, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return 0, 0, err
			}
			memory = kB << 10
		}
	}
	threads, err := filepath.Glob(filepath.Join(proc, "task", "*", "schedstat"))
	if err != nil {
		return 0, 0, err
	}
	for _, t := range threads {
		data, err := os.ReadFile(t)
		if err != nil {
			continue // it has ended
		}
		ran, _, _ := strings.Cut(string(data), " ")
		ns, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		cpu += time.Duration(ns)
	}
	return memory, cpu, nil
}
