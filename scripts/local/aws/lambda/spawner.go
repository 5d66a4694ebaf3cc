package lambda

import (
	"os/exec"
	"runtime"
)

// spawner starts processes from one thread that lives as long as the function.
// Linux kills a child with the thread that started it, not with the process
// (see PR_SET_PDEATHSIG in prctl(2)), and Go ends threads as it likes.
type spawner struct {
	requests chan spawnRequest
	done     chan struct{}
}

type spawnRequest struct {
	cmd    *exec.Cmd
	result chan error
}

func newSpawner() *spawner {
	s := &spawner{make(chan spawnRequest), make(chan struct{})}
	go s.run()
	return s
}

func (s *spawner) run() {
	defer close(s.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for r := range s.requests {
		r.result <- r.cmd.Start()
	}
}

func (s *spawner) start(cmd *exec.Cmd) error {
	r := spawnRequest{cmd, make(chan error, 1)}
	s.requests <- r
	return <-r.result
}

// stop ends the thread's duty. Nothing may be started any more.
func (s *spawner) stop() {
	close(s.requests)
	<-s.done
}
