package fakeittybit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"ittybit-media/scripts/local/quiet"
)

// Server is the fake: an http.Handler that works in the background. Make
// one with [New]. Its methods may be called by any goroutine.
type Server struct {
	opts     Options
	mux      *http.ServeMux
	encoders map[string]bool // ffmpeg's
	ffprobe  string          // path; "": inputs are not probed
	callback *http.Client

	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	background *workers
	work       *semaphore.Weighted // a slot for each job that is worked on
	calls      *semaphore.Weighted // a slot for each callback that is being sent

	dir     *os.Root // the outputs, a folder for each job
	ownDir  string   // to be removed; "": the caller's
	notices sync.Map // what was said
	keys    keyring
	idem    idempotency
	stats   stats

	mu       sync.Mutex
	finished *quiet.Cond // busy is 0, or the server closed
	jobs     map[string]*Job
	ids      []string            // in the order of creation
	byInput  map[string][]string // the same, of each input
	busy     int                 // jobs and callbacks that are not finished
}

// callsAtOnce bounds the callbacks under way, so that a thousand jobs that end
// together do not open a thousand connections.
const callsAtOnce = 32

// New starts a fake. It fails when ffmpeg does not run or the folder for
// outputs cannot be used. End it with [Server.Close].
func New(opts Options) (*Server, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	s := &Server{
		opts:     opts,
		callback: callbackClient(opts.Transport),
		work:     semaphore.NewWeighted(int64(opts.Workers)),
		calls:    semaphore.NewWeighted(callsAtOnce),
		jobs:     map[string]*Job{},
		byInput:  map[string][]string{},
	}
	s.idem.clock = opts.Clock
	s.SetKeys(opts.Keys...)
	s.finished = quiet.NewCond(&s.mu)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.background = newWorkers(s.ctx)
	if err := s.prepareWork(); err != nil {
		s.cancel()
		return nil, fmt.Errorf("fakeittybit: %w", err)
	}
	s.routes()
	return s, nil
}

func (s *Server) prepareWork() (err error) {
	switch {
	case s.opts.Instant:
		return nil
	case s.opts.FFmpeg != "":
		if s.encoders, err = probeEncoders(s.ctx, s.opts.FFmpeg); err != nil {
			return err
		}
		s.ffprobe = ffprobe(s.opts.FFmpeg)
	default:
		s.notice("there is no ffmpeg: each output is a copy of its input, under the name that was asked for")
	}
	dir := s.opts.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "ittybit-outputs-"); err != nil {
			return err
		}
		s.ownDir = dir
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Work happens in it with another current folder.
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	s.dir, err = os.OpenRoot(dir)
	return err
}

// Close ends everything that the fake does and returns when it has ended:
// requests get no answer or 503, ffmpeg is killed, callbacks are dropped.
func (s *Server) Close() error {
	s.cancel()
	s.mu.Lock()
	s.finished.Broadcast()
	s.mu.Unlock()
	s.background.close()
	s.callback.CloseIdleConnections()
	if s.dir == nil {
		return nil
	}
	err := s.dir.Close()
	if s.ownDir != "" {
		err = errors.Join(err, os.RemoveAll(s.ownDir))
	}
	return err
}

// Wait returns when every job is final and every callback delivered, given up
// or lost. It fails with ctx, and when the fake is closed.
func (s *Server) Wait(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.finished.Until(ctx, func() bool { return s.busy == 0 || s.ctx.Err() != nil })
	switch {
	case err != nil:
		return fmt.Errorf("fakeittybit: waiting for jobs and callbacks: %w", err)
	case s.busy > 0:
		return errClosed
	}
	return nil
}

// Idle waits until nothing more happens before the clock moves on: no job is
// worked on and no callback is being sent. It fails with ctx.
func (s *Server) Idle(ctx context.Context) error {
	if err := s.background.idle(ctx); err != nil {
		return fmt.Errorf("fakeittybit: waiting for what is being done: %w", err)
	}
	return nil
}

// Busy counts the jobs that are not final and the callbacks that are neither
// delivered nor given up, those to come included.
func (s *Server) Busy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy
}

var errClosed = errors.New("fakeittybit: the server is closed")

// end counts off a job or a callback; s.mu is held.
func (s *Server) end() {
	if s.busy--; s.busy == 0 {
		s.finished.Broadcast()
	}
}

func (s *Server) notice(text string) {
	if _, said := s.notices.LoadOrStore(text, true); !said {
		s.opts.Notice(text)
	}
}

// sleep waits in real time: what is slow here is the network.
func (s *Server) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
}
