package schedules

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	maxStores    = 4
	maxProcesses = 12
	defaultMax   = 5_000_000
)

// Numbers of nodes that no run of a process has.
const (
	notStarted int32 = -1
	hasCrashed int32 = -2
)

// state is a state of the whole.
type state struct {
	stores          [maxStores]int32
	nodes           [maxProcesses]int32
	crashes, faults int16 // what may still happen
}

// explorer walks the graph of states.
type explorer struct {
	*memory
	slots  []int // which process each of the state's nodes is of
	seen   map[state]int32
	parent []int32   // the state from which each was reached first
	via    []int32   // and by which of its choices
	next   [][]int32 // the states to which each leads
	fresh  []state   // those that were seen last
}

// Explore walks all schedules of a scenario, until there are no more or one
// violates what must be true. The result is the same every time.
func Explore(t *testing.T, s Scenario) Result {
	t.Helper()
	began := time.Now()
	e := newExplorer(t, &s)
	v := e.walk()
	r := e.result(v)
	r.Took = time.Since(began)
	return r
}

func newExplorer(t *testing.T, s *Scenario) *explorer {
	var slots []int
	for i, p := range s.Processes {
		slots = append(slots, slices.Repeat([]int{i}, max(p.Copies, 1))...)
	}
	if len(s.Stores) > maxStores || len(slots) > maxProcesses {
		t.Fatalf("schedules: at most %d stores and %d processes", maxStores, maxProcesses)
	}
	if s.MaxStates == 0 {
		s.MaxStates = defaultMax
	}
	return &explorer{
		memory: &memory{t: t, scenario: s, names: slices.Sorted(maps.Keys(s.Stores)), served: map[served][]outcome{}, starts: map[start]int32{}},
		slots:  slots,
		seen:   map[state]int32{},
	}
}

// first is the state in which all processes that need no input are started.
func (e *explorer) first() (state, error) {
	s := state{crashes: int16(e.scenario.Crashes), faults: int16(e.scenario.Faults)}
	for i, name := range e.names {
		s.stores[i] = e.store(name, e.scenario.Stores[name])
	}
	for slot, process := range e.slots {
		s.nodes[slot] = notStarted
		if p := e.scenario.Processes[process]; p.Inputs != nil || p.Last {
			continue
		}
		var err error
		if s.nodes[slot], err = e.begin(process, ""); err != nil {
			return s, err
		}
		if err := e.rush(&s, slot); err != nil {
			return s, err
		}
	}
	return s, nil
}

// expansion is what was found in a state.
type expansion struct {
	choices []choice
	err     error // what is wrong there
	at      int   // or with that choice; -1: with the state
}

// walk goes breadth first, all states of a depth at once. It returns the first
// violation, nil if there is none.
func (e *explorer) walk() *violation {
	s, err := e.first()
	e.add(s, -1, 0)
	if err != nil {
		return &violation{0, -1, err}
	}
	for from := int32(0); len(e.fresh) > 0; {
		depth := e.fresh
		e.fresh = nil
		for i, x := range e.expand(depth) {
			id := from + int32(i)
			if x.err != nil {
				return &violation{id, x.at, x.err}
			}
			next := make([]int32, len(x.choices))
			for j, c := range x.choices {
				next[j] = e.add(c.to, id, int32(j))
			}
			e.next = append(e.next, next)
		}
		from += int32(len(depth))
		if len(e.seen) > e.scenario.MaxStates {
			return &violation{0, -1, fmt.Errorf("over %d states: make the scenario smaller", e.scenario.MaxStates)}
		}
	}
	return nil
}

// add returns the number of a state, which is new if it was not seen before.
func (e *explorer) add(s state, parent, via int32) int32 {
	id, known := e.seen[s]
	if !known {
		id = int32(len(e.parent))
		e.seen[s] = id
		e.fresh, e.parent, e.via = append(e.fresh, s), append(e.parent, parent), append(e.via, via)
	}
	return id
}

// expand checks states and lists their choices, on all cores.
func (e *explorer) expand(states []state) []expansion {
	found := make([]expansion, len(states))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(found); i = int(next.Add(1)) - 1 {
				found[i] = e.look(&states[i])
			}
		})
	}
	workers.Wait()
	return found
}

func (e *explorer) look(s *state) expansion {
	choices, err := e.choices(s)
	if err == nil {
		err = e.check(s, len(choices) == 0)
	}
	if err != nil {
		return expansion{err: err, at: -1}
	}
	for i := range choices {
		if err := e.checkStep(s, &choices[i].to); err != nil {
			return expansion{choices, err, i}
		}
	}
	return expansion{choices: choices}
}

func (e *explorer) checkStep(from, to *state) error {
	if e.scenario.Step == nil || from.stores == to.stores {
		return nil
	}
	return e.scenario.Step(View{e, from}, View{e, to})
}

// check returns what is wrong in a state.
func (e *explorer) check(s *state, isEnd bool) error {
	for _, id := range s.nodes[:len(e.slots)] {
		if id < 0 {
			continue
		}
		if p, ok := e.nodes.get(id).err.(*Panic); ok {
			return p
		}
	}
	v := View{e, s}
	if e.scenario.Always != nil {
		if err := e.scenario.Always(v); err != nil {
			return err
		}
	}
	if isEnd && e.scenario.AtEnd != nil {
		return e.scenario.AtEnd(v)
	}
	return nil
}

func (e *explorer) status(id int32) Status {
	switch id {
	case notStarted:
		return Waiting
	case hasCrashed:
		return Crashed
	}
	return e.nodes.get(id).status
}
