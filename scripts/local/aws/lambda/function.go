// Package lambda is an emulator of Lambda: it runs a function's real binary as
// child processes behind the Lambda Runtime API, on loopback, with an
// environment built from nothing.
//
// The Runtime API is written here because no Go library serves it;
// aws-lambda-go is its client only.
package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"ittybit-media/scripts/local/quiet"
)

// Config describes a function.
type Config struct {
	Name, ARN string
	Binary    string            // path of the executable
	Dir       string            // its working directory and LAMBDA_TASK_ROOT
	Env       map[string]string // beside what Lambda itself sets; credentials come through it
	Timeout   time.Duration     // of an invocation, by the wall clock; zero is Lambda's default, 3 seconds
	MemoryMB  int               // told to the function, not enforced; zero is Lambda's default, 128
	// MaxConcurrency is how many processes may run at a time; zero is 10.
	MaxConcurrency int
	// Log, if not nil, gets what the processes write, each line in one Write.
	Log io.Writer
	// OnFailure, if not nil, is the on-failure destination of asynchronous
	// invocations: it gets Lambda's envelope.
	OnFailure func(envelope []byte)
	// Observe, if not nil, is told what happens; by several goroutines.
	Observe func(Event)
	// Now is the time that the function is told, in deadlines and envelopes; nil
	// is the wall clock. An invocation is ended by the wall clock all the same.
	Now func() time.Time
}

// ErrClosed says that the function was closed.
var ErrClosed = errors.New("the function is closed")

// Function is a running function. Its methods may be called by any goroutine.
type Function struct {
	cfg     Config
	env     []string
	log     *lineLog
	ctx     context.Context // ends with Close
	cancel  context.CancelCauseFunc
	unwatch func() bool // stops closing when Start's context ends
	closing sync.Once
	slots   *semaphore.Weighted // one for each process that is starting or busy
	spawner *spawner
	work    sync.WaitGroup // invocations and the dispatcher
	reaping sync.WaitGroup // a goroutine for each process

	mu          sync.Mutex
	changed     *quiet.Cond // the asynchronous queue or closed changed
	closed      bool
	processes   map[*process]struct{}
	warm        []*process // wait for an invocation, the latest used last
	queue       []*invocation
	queuedBytes int
	unfinished  int // asynchronous invocations, queued or running
	stats       Stats
}

// Start makes a function ready for invocations; processes start on demand. The
// function is closed when ctx ends.
func Start(ctx context.Context, cfg Config) (*Function, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, 3*time.Second)
	cfg.MemoryMB = cmp.Or(cfg.MemoryMB, 128)
	cfg.MaxConcurrency = cmp.Or(cfg.MaxConcurrency, 10)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	if cfg.Name == "" || cfg.Binary == "" || cfg.Timeout < 0 || cfg.MaxConcurrency < 0 {
		return nil, errors.New("lambda: a function needs Name and Binary, and no negative Timeout or MaxConcurrency")
	}
	env, err := environment(cfg)
	if err != nil {
		return nil, fmt.Errorf("lambda: function %s: %w", cfg.Name, err)
	}
	// A relative path would be looked up in Dir.
	if cfg.Binary, err = filepath.Abs(cfg.Binary); err != nil {
		return nil, fmt.Errorf("lambda: function %s: %w", cfg.Name, err)
	}
	f := &Function{
		cfg:       cfg,
		env:       env,
		log:       &lineLog{w: cfg.Log},
		slots:     semaphore.NewWeighted(int64(cfg.MaxConcurrency)),
		spawner:   newSpawner(),
		processes: map[*process]struct{}{},
	}
	f.changed = quiet.NewCond(&f.mu)
	f.ctx, f.cancel = context.WithCancelCause(context.Background())
	f.work.Go(f.dispatch)
	f.mu.Lock() // ctx may have ended: Close must not come before unwatch is set
	defer f.mu.Unlock()
	f.unwatch = context.AfterFunc(ctx, f.Close)
	return f, nil
}

// Name is what the function is called.
func (f *Function) Name() string { return f.cfg.Name }

// Stats counts what a function does and has done.
type Stats struct {
	Busy, Warm  int // processes that start or work; that wait
	Waiting     int // synchronous invocations that wait for a process
	Queued      int // asynchronous events that do
	Invocations int // so far
	Failures    int // of these, that ended with a function error
	Processes   int // started so far
}

// Stats returns the counts.
func (f *Function) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.Busy, s.Warm, s.Queued = len(f.processes)-len(f.warm), len(f.warm), len(f.queue)
	return s
}

// Check starts a process of its own and waits until it asks for its first
// event. It returns the time from exec until then, which Lambda calls the init.
// If the process ends first, the error has what it said last. The process is
// kept for invocations.
func (f *Function) Check(ctx context.Context) (time.Duration, error) {
	if !f.begin() {
		return 0, f.wrap(ErrClosed)
	}
	defer f.work.Done()
	if err := f.acquire(ctx); err != nil {
		return 0, f.wrap(err)
	}
	defer f.slots.Release(1)
	if p := f.takeWarm(); p != nil { // makes room: there are never more processes than slots
		p.kill()
		<-p.exited
	}
	p, err := f.startProcess(ctx)
	if err != nil {
		return 0, f.wrap(err)
	}
	f.keepWarm(p)
	return p.initTime, nil
}

// Kill kills every process at once, as a crash of the machine would, and
// returns how many there were. Their invocations fail; the next ones start
// anew.
func (f *Function) Kill() int {
	f.mu.Lock()
	f.warm = nil
	f.mu.Unlock()
	processes := f.running()
	for _, p := range processes {
		p.kill()
	}
	return len(processes)
}

// KillAt kills the processes that are at work on an event that fits, and
// returns how many there were. What they sent before has been sent.
func (f *Function) KillAt(fits func(event []byte) bool) int {
	killed := 0
	for _, p := range f.running() {
		if event := p.event(); event != nil && fits(event) {
			p.kill()
			killed++
		}
	}
	return killed
}

// PIDs are the ids of the processes that there are.
func (f *Function) PIDs() []int {
	var pids []int
	for _, p := range f.running() {
		pids = append(pids, p.pid())
	}
	return pids
}

func (f *Function) running() []*process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.processes))
}

// Close kills what runs, drops what is queued and returns when every process
// and goroutine of the function is gone. What was cut off this way does not go
// to OnFailure. Close must not be called from a function in Config.
func (f *Function) Close() {
	f.closing.Do(func() {
		f.cancel(ErrClosed)
		f.mu.Lock()
		f.unwatch()
		f.closed = true
		f.queue, f.queuedBytes = nil, 0
		f.changed.Broadcast()
		f.mu.Unlock()
		f.Kill() // one that is just being started sees that it is closed, and dies
		f.work.Wait()
		f.reaping.Wait()
		f.spawner.stop()
	})
}

// begin counts in a piece of work that Close waits for, unless it is too late.
func (f *Function) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.work.Add(1)
	}
	return !f.closed
}

// acquire waits its turn for a slot; first come, first served.
func (f *Function) acquire(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(f.ctx, func() { cancel(ErrClosed) })()
	f.count(func(s *Stats) { s.Waiting++ })
	defer f.count(func(s *Stats) { s.Waiting-- })
	if err := f.slots.Acquire(ctx, 1); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (f *Function) takeWarm() *process {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := len(f.warm) - 1
	if last < 0 {
		return nil
	}
	p := f.warm[last]
	f.warm = f.warm[:last]
	return p
}

// keepWarm keeps a process for the next invocation, unless it has ended or is
// about to.
func (f *Function) keepWarm(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, alive := f.processes[p]; alive && !p.doomed.Load() {
		f.warm = append(f.warm, p)
	}
}

// forget strikes a process off that has ended.
func (f *Function) forget(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.processes, p)
	f.warm = slices.DeleteFunc(f.warm, func(w *process) bool { return w == p })
}

func (f *Function) count(change func(*Stats)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.stats)
}

func (f *Function) wrap(err error) error {
	return fmt.Errorf("lambda: function %s: %w", f.cfg.Name, err)
}
