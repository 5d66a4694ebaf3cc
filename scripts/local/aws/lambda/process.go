package lambda

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// initLimit is the time that Lambda gives a process to ask for its first event
// (AWS Lambda Developer Guide, "Understanding the Lambda execution environment
// lifecycle"): 10 seconds, after which it tries again within the function's
// timeout.
const initLimit = 10 * time.Second

// process is one running copy of the function's binary. It serves one
// invocation at a time, over a Runtime API of its own, so that no answer can be
// mistaken for another process's.
type process struct {
	cmd    *exec.Cmd
	server *http.Server
	output output

	asked  chan struct{}    // it asks for an event; one such token at most
	events chan *invocation // taken by the request that asks
	exited chan struct{}    // closed when it is gone and reaped
	end    string           // how it ended; to be read once exited is closed
	doomed atomic.Bool      // it was killed, though it may not know yet

	started  time.Time
	initOnce sync.Once
	initTime time.Duration // from exec to the first asked

	mu        sync.Mutex
	current   *invocation // the one it may answer
	initCause string      // what it reported as the reason of a failed init
}

// initError says why a process never asked for an event.
type initError struct{ kind, reason, said string }

func (e *initError) Error() string {
	if e.said == "" {
		return e.reason
	}
	return e.reason + ": " + e.said
}

// startProcess starts a process and waits until it asks for its first event. It
// gives up, and leaves no process, when ctx ends or the init takes too long.
func (f *Function) startProcess(ctx context.Context) (*process, error) {
	p, err := f.exec()
	if err != nil {
		return nil, err
	}
	limit := initLimit + f.cfg.Timeout
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.asked:
		f.observe(Event{Kind: ProcessStarted, PID: p.pid(), Duration: p.initTime})
		return p, nil
	case <-p.exited:
		return nil, &initError{"Runtime.ExitError", p.end + ", in its init", p.lastWords()}
	case <-timer.C:
		p.kill()
		<-p.exited
		return nil, &initError{"Sandbox.Timedout", fmt.Sprintf("Init timed out after %.2f seconds", limit.Seconds()), p.lastWords()}
	case <-ctx.Done():
		p.kill()
		<-p.exited
		return nil, context.Cause(ctx)
	}
}

// exec starts a process and the goroutines that serve and reap it.
func (f *Function) exec() (*process, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the Runtime API's listener: %w", err)
	}
	p := &process{
		output: output{log: f.log},
		asked:  make(chan struct{}, 1),
		events: make(chan *invocation),
		exited: make(chan struct{}),
	}
	p.server = &http.Server{Handler: p.runtimeAPI(), ErrorLog: log.New(io.Discard, "", 0)}
	p.cmd = exec.Command(f.cfg.Binary)
	p.cmd.Dir = f.cfg.Dir
	p.cmd.Env = append(f.env[:len(f.env):len(f.env)], runtimeAPI+"="+listener.Addr().String())
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output // one and the same: one goroutine writes
	p.cmd.SysProcAttr = processAttributes()
	p.cmd.WaitDelay = time.Second // a grandchild may hold the pipe

	p.started = time.Now()
	f.reaping.Go(func() { _ = p.server.Serve(listener) }) // ends with server.Close
	if err := f.spawner.start(p.cmd); err != nil {
		_ = p.server.Close()
		return nil, &initError{"Runtime.InvalidEntrypoint", err.Error(), ""}
	}
	f.mu.Lock()
	f.processes[p] = struct{}{}
	f.stats.Processes++
	closed := f.closed
	f.mu.Unlock()
	f.reaping.Go(func() { f.reap(p) })
	if closed {
		p.kill()
	}
	return p, nil
}

// reap waits for the end of a process and clears up after it.
func (f *Function) reap(p *process) {
	err := p.cmd.Wait()
	_ = killGroup(p.cmd.Process) // what it started and left behind
	_ = p.server.Close()
	p.output.flush()
	f.forget(p)
	p.end = "Runtime exited without providing a reason"
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		p.end = "Runtime exited with error: " + exit.ProcessState.String()
	}
	close(p.exited)
	f.observe(Event{Kind: ProcessExited, PID: p.pid(), Failure: p.end})
}

// kill ends a process and what it started. It does not wait.
func (p *process) kill() {
	p.doomed.Store(true)
	select {
	case <-p.exited: // its number may be somebody else's by now
	default:
		_ = killGroup(p.cmd.Process)
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// assign makes inv the invocation that p may answer.
func (p *process) assign(inv *invocation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = inv
}

// event is the payload that the process is at work on; nil if none.
func (p *process) event() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return nil
	}
	return p.current.payload
}

// answer takes the process's answer to its invocation, once. It reports false
// if the id is not that invocation's.
func (p *process) answer(id string, r Result) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || p.current.id != id {
		return false
	}
	r.RequestID = id
	p.current.answers <- r
	p.current = nil
	return true
}

// lastWords is why the init failed, as far as the process said; to be called
// once it has exited.
func (p *process) lastWords() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.initCause != "" {
		return p.initCause
	}
	return p.output.last()
}
