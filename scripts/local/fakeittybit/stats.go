package fakeittybit

import (
	"maps"
	"sync"
)

// Op is an operation of the API.
type Op string

// The operations.
const (
	Create Op = "create"
	Get    Op = "get"
	List   Op = "list"
)

// CallbackCounts say what became of the callbacks.
type CallbackCounts struct {
	Posts     int // requests made, retries included
	Delivered int // answered with 2xx
	GivenUp   int // after the last attempt
	Lost      int // by Options.Deliveries, or not on loopback
}

// stats are for tests and reports.
type stats struct {
	mu       sync.Mutex
	requests map[Op]int
	ordinals map[ordinalKey]int
	flying   int
	most     int
	calls    CallbackCounts
}

type ordinalKey struct {
	op    Op
	input string
}

func (s *stats) count(op Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests == nil {
		s.requests = map[Op]int{}
	}
	s.requests[op]++
}

// ordinal numbers the requests of an operation for an input, from 1.
func (s *stats) ordinal(op Op, input string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ordinals == nil {
		s.ordinals = map[ordinalKey]int{}
	}
	s.ordinals[ordinalKey{op, input}]++
	return s.ordinals[ordinalKey{op, input}]
}

// fly counts a POST in flight until the function it returns is called.
func (s *stats) fly() (land func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying++
	s.most = max(s.most, s.flying)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.flying--
	}
}

func (s *stats) called(change func(*CallbackCounts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.calls)
}

// Requests counts the requests of each operation, refused ones included.
func (s *Server) Requests() map[Op]int {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	return maps.Clone(s.stats.requests)
}

// MaxInFlight is how many POSTs there were at once, at most.
func (s *Server) MaxInFlight() int {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	return s.stats.most
}

// Callbacks counts callbacks.
func (s *Server) Callbacks() CallbackCounts {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	return s.stats.calls
}

// Jobs are all jobs, in the order of their creation.
func (s *Server) Jobs() []Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs := make([]Job, len(s.ids))
	for i, id := range s.ids {
		jobs[i] = *s.jobs[id]
	}
	return jobs
}

// Job is the job of that id, if there is one.
func (s *Server) Job(id string) (Job, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[id]
	if j == nil {
		return Job{}, false
	}
	return *j, true
}
