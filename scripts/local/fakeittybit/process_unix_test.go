//go:build darwin || linux

package fakeittybit_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ittybit-media/scripts/local/fakeittybit"
)

func TestFFmpegIsStopped(t *testing.T) {
	t.Parallel()
	// It and its child tell their process ids, and then never end.
	setUp := func(t *testing.T, limit time.Duration) (*api, func() (parent, child int)) {
		pipe := filepath.Join(t.TempDir(), "pids")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Skip("no named pipes here: ", err)
		}
		files := newStorage(t)
		files.add(t, "b", "clip.mov", []byte("x"))
		a := serve(t, fakeittybit.Options{Storage: files, Time: limit, FFmpeg: fakeFFmpeg(t, "libx264 aac", "sleep 600 & echo $$ $! > "+pipe+"; wait")})
		a.create(`{"input":"s3://b/clip.mov","kind":"video"}`)
		return a, func() (parent, child int) {
			text, err := os.ReadFile(pipe)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Sscan(string(text), &parent, &child); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			return parent, child
		}
	}
	gone := func(t *testing.T, pids ...int) {
		t.Helper()
		for _, pid := range pids {
			// The killed child is init's now, which may take a moment to bury it.
			deadline := time.Now().Add(10 * time.Second)
			for syscall.Kill(pid, 0) == nil && !isZombie(pid) {
				if time.Now().After(deadline) {
					t.Errorf("process %d is still there", pid)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
	t.Run("by Close", func(t *testing.T) {
		t.Parallel()
		a, pids := setUp(t, 0)
		parent, child := pids()
		closeIt(t, a.Server)
		gone(t, parent, child)
		if j := a.Jobs()[0]; j.Status != fakeittybit.Processing {
			t.Errorf("the job is %s (%v), want processing: nothing was wrong with it", j.Status, j.Failure)
		}
		a.do("GET", "/jobs", "").want(t, 503, "unavailable")
		if err := a.Wait(context.Background()); err == nil {
			t.Error("Wait gives no error although the job never ended")
		}
	})
	t.Run("by the time limit", func(t *testing.T) {
		t.Parallel()
		a, pids := setUp(t, 2*time.Second)
		parent, child := pids()
		a.wait()
		gone(t, parent, child)
		if j := a.Jobs()[0]; j.Status != fakeittybit.Failed || j.Failure.Kind != "timeout" {
			t.Errorf("the job is %s (%v), want failed with timeout", j.Status, j.Failure)
		}
	})
}

func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, ok := strings.Cut(string(stat), ") ")
	return err == nil && ok && strings.HasPrefix(rest, "Z")
}
