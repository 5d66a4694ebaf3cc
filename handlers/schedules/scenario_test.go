package schedules

import "fmt"

// Scenario is what is explored, and what must be true.
type Scenario struct {
	// Stores are the stores by the first label of their hosts; at most 4.
	Stores map[string]Store
	// Processes are at most 12, with their copies.
	Processes []Process
	// Crashes is how many processes may crash.
	Crashes int
	// Faults is how many calls may go wrong: their answer is lost, they do not
	// arrive, or the store has an outcome of that kind.
	Faults int
	// Always is checked in every state, AtEnd where nothing can happen any more,
	// and Step over every choice that changes a store. Nil: nothing to check.
	Always, AtEnd func(View) error
	Step          func(before, after View) error
	// Ordered tells histories apart that differ only in the order in which
	// calls made in parallel were answered.
	Ordered bool
	// MaxStates ends an exploration that becomes too large. 0: 5 million.
	MaxStates int
}

// Status is how far a process is.
type Status int

const (
	Waiting Status = iota // not started
	Running
	Ended
	Failed // ended with an error
	Crashed
)

func (s Status) String() string {
	return [...]string{"waiting", "running", "ended", "failed", "crashed"}[s]
}

// Over reports whether the process does nothing any more.
func (s Status) Over() bool { return s >= Ended }

// View shows a state.
type View struct {
	explorer *explorer
	state    *state
}

// Store returns a store by its name. It panics if there is none.
func (v View) Store(name string) Store {
	for i, known := range v.explorer.names {
		if known == name {
			return v.explorer.stores.get(v.state.stores[i])
		}
	}
	panic(fmt.Sprintf("schedules: the scenario has no store %q", name))
}

// Count returns how many of a process are that far. It panics if there is none
// of that name.
func (v View) Count(process string, status Status) int {
	n := 0
	for i, known := range v.slots(process) {
		if known && v.explorer.status(v.state.nodes[i]) == status {
			n++
		}
	}
	return n
}

// Over reports whether all of a process are over. It panics if there is none of
// that name.
func (v View) Over(process string) bool {
	for i, known := range v.slots(process) {
		if known && !v.explorer.status(v.state.nodes[i]).Over() {
			return false
		}
	}
	return true
}

// slots marks those of a process.
func (v View) slots(process string) (marked [maxProcesses]bool) {
	found := false
	for i, of := range v.explorer.slots {
		marked[i] = v.explorer.scenario.Processes[of].Name == process
		found = found || marked[i]
	}
	if !found {
		panic(fmt.Sprintf("schedules: the scenario has no process %q", process))
	}
	return marked
}
