// Package procstat reads what a process uses of the machine: its resident
// memory and its time on the CPU.
package procstat

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process uses.
type Usage struct {
	Memory     int64 // resident now, in bytes
	PeakMemory int64 // the most that was ever resident, in bytes
	CPU        time.Duration
}

// Read reads the usage of a running process from Linux's /proc. It returns an
// error on other systems and for a process that is gone. The CPU time leaves
// out threads that have ended.
func Read(pid int) (Usage, error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	if u.Memory, err = kilobytes(string(status), "VmRSS:"); err != nil {
		return Usage{}, err
	}
	if u.PeakMemory, err = kilobytes(string(status), "VmHWM:"); err != nil {
		return Usage{}, err
	}
	u.CPU, err = cpuTime(proc)
	return u, err
}

// kilobytes finds a line such as "VmRSS: 1234 kB" and returns its bytes.
func kilobytes(status, name string) (int64, error) {
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			kB, err := strconv.ParseInt(f[1], 10, 64)
			return kB << 10, err
		}
	}
	return 0, fmt.Errorf("/proc has no %s of the process: it has ended", name)
}

// cpuTime adds up the threads: the process's own file has only the first one's
// nanoseconds.
func cpuTime(proc string) (time.Duration, error) {
	threads, err := filepath.Glob(filepath.Join(proc, "task", "*", "schedstat"))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, thread := range threads {
		data, err := os.ReadFile(thread)
		if err != nil {
			continue // the thread has ended meanwhile
		}
		ran, _, _ := strings.Cut(string(data), " ")
		ns, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}
