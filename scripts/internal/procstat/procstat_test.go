package procstat_test

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"testing"

	"ittybit-media/scripts/internal/procstat"
)

func linux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has this /proc")
	}
}

func TestReadOfThisProcess(t *testing.T) {
	linux(t)
	before, err := procstat.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if before.Memory < 1<<20 || before.PeakMemory < before.Memory || before.CPU <= 0 {
		t.Errorf("%+v", before)
	}
	const size = 32 << 20
	block := make([]byte, size)
	for i := 0; i < size; i += os.Getpagesize() {
		block[i] = 1
	}
	after, err := procstat.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after.Memory < before.Memory+size/2 || after.PeakMemory < before.Memory+size/2 {
		t.Errorf("%+v with %d bytes more than %+v", after, size, before)
	}
	runtime.KeepAlive(block)
	debug.FreeOSMemory()
	end, err := procstat.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const slack = 1 << 20 // Linux counts each processor's pages by itself
	if end.Memory > after.Memory-size/2 || end.PeakMemory < after.PeakMemory-slack || end.CPU <= before.CPU {
		t.Errorf("%+v once they are free, after %+v", end, after)
	}
}

// Memory is the process's own, not the reader's.
func TestReadOfAnotherProcess(t *testing.T) {
	t.Parallel()
	linux(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "echo started; read end")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	self, err := procstat.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	if u, err := procstat.Read(pid); err != nil || u.Memory <= 0 || u.PeakMemory >= self.PeakMemory {
		t.Errorf("a shell: %+v, %v; this process: %+v", u, err, self)
	}
	_ = in.Close()
	_ = cmd.Wait()
	if u, err := procstat.Read(pid); err == nil {
		t.Errorf("a process that is gone: %+v", u)
	}
}
