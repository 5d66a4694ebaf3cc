package schedules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Result is what an exploration found.
type Result struct {
	Schedules float64 // from the beginning to an end, rounded beyond 2^53; 0 if one violates
	Longest   int     // steps of the longest schedule; 0 if one violates
	States    int     // seen
	Steps     int     // choices between them
	Pruned    int     // choices that led to a state seen before
	Replays   int     // runs of a process's code
	Calls     int     // answered in all runs
	Took      time.Duration
	Violation *Violation // nil: there is none
}

func (r Result) String() string {
	effort := fmt.Sprintf("%d states, %d steps between them, %d to states seen before; %d runs of code with %d calls; %v, %.0f steps a second",
		r.States, r.Steps, r.Pruned, r.Replays, r.Calls, r.Took.Round(time.Millisecond), float64(r.Steps)/r.Took.Seconds())
	if r.Violation != nil {
		return effort + "\n" + r.Violation.String()
	}
	return fmt.Sprintf("%.6g schedules of up to %d steps: %s", r.Schedules, r.Longest, effort)
}

// Violation is a shortest schedule that leads to what must not be.
type Violation struct {
	Err   error
	Path  []int    // the choices, for [Replay]
	Steps []string // the same in words
	// Confirmed: it also shows when answers to parallel calls keep their order.
	// If not, a process minds that order: see [Scenario.Ordered].
	Confirmed bool
}

func (v *Violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "violation: %v\n", v.Err)
	for i, step := range v.Steps {
		fmt.Fprintf(&b, "%4d. %s\n", i+1, step)
	}
	if !v.Confirmed {
		b.WriteString("not confirmed: a process minds the order of answers to its parallel calls; explore with Ordered\n")
	}
	fmt.Fprintf(&b, "replay: %s", FormatPath(v.Path))
	return b.String()
}

// FormatPath writes choices as [ParsePath] reads them.
func FormatPath(path []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(path), "[]"), " ", ".")
}

// ParsePath reads choices such as "0.3.1".
func ParsePath(text string) (path []int, err error) {
	for word := range strings.SplitSeq(text, ".") {
		var n int
		if _, err := fmt.Sscan(word, &n); err != nil {
			return nil, fmt.Errorf("a schedule is a list of numbers such as 0.3.1: %q is not a number", word)
		}
		path = append(path, n)
	}
	return path, nil
}

// violation is what is wrong in a state, or with one of its choices.
type violation struct {
	state  int32
	choice int // -1: it is the state
	err    error
}

func (e *explorer) result(v *violation) Result {
	r := Result{States: len(e.parent), Replays: e.replays, Calls: e.events}
	for _, next := range e.next {
		r.Steps += len(next)
	}
	r.Pruned = r.Steps - (r.States - 1)
	if v == nil {
		r.Schedules, r.Longest = e.count()
		return r
	}
	r.Violation = &Violation{Err: v.err, Path: e.path(v.state)}
	if v.choice >= 0 {
		r.Violation.Path = append(r.Violation.Path, v.choice)
	}
	scenario := *e.scenario
	scenario.Ordered = true
	var err error
	r.Violation.Steps, err = Replay(e.t, scenario, r.Violation.Path)
	r.Violation.Confirmed = err != nil && !errors.Is(err, errNoSuchChoice)
	return r
}

// path returns the choices that lead to a state.
func (e *explorer) path(id int32) []int {
	var path []int
	for ; id > 0; id = e.parent[id] {
		path = append(path, int(e.via[id]))
	}
	slices.Reverse(path)
	return path
}

// count returns the number of paths from the first state to an end, and the
// length of the longest. No path leads back: every choice takes a process on.
func (e *explorer) count() (paths float64, longest int) {
	type sum struct {
		paths   float64
		longest int
		done    bool
	}
	sums := make([]sum, len(e.parent))
	for stack := []int32{0}; len(stack) > 0; {
		id := stack[len(stack)-1]
		own := sum{done: true}
		ready := true
		for _, next := range e.next[id] {
			if s := sums[next]; s.done {
				own.paths += s.paths
				own.longest = max(own.longest, s.longest+1)
			} else {
				stack, ready = append(stack, next), false
			}
		}
		if ready {
			if len(e.next[id]) == 0 {
				own.paths = 1
			}
			sums[id] = own
			stack = stack[:len(stack)-1]
		}
	}
	return sums[0].paths, sums[0].longest
}

var errNoSuchChoice = errors.New("the schedule has a choice that there is not")

// Replay walks one schedule, and says in words what happens. The error is the
// first violation on the way.
func Replay(t *testing.T, s Scenario, path []int) (steps []string, err error) {
	t.Helper()
	e := newExplorer(t, &s)
	at, err := e.first()
	if err != nil {
		return nil, err
	}
	names := e.slotNames()
	for i := 0; ; i++ {
		x := e.look(&at)
		switch {
		case x.err != nil && x.at < 0:
			return steps, x.err
		case i == len(path):
			return steps, nil
		case path[i] >= len(x.choices):
			return steps, fmt.Errorf("%w: step %d has %d choices, not %d", errNoSuchChoice, i+1, len(x.choices), path[i]+1)
		}
		c := x.choices[path[i]]
		name := names[c.slot]
		steps = append(steps, name+": "+e.describe(&at, c))
		if err := e.checkStep(&at, &c.to); err != nil {
			return steps, err
		}
		names = slices.Insert(slices.Delete(names, c.slot, c.slot+1), c.landed, name)
		at = c.to
	}
}

// slotNames names the processes, with numbers where there are copies.
func (e *explorer) slotNames() []string {
	var names []string
	for _, p := range e.scenario.Processes {
		for n := range max(p.Copies, 1) {
			name := p.Name
			if p.Copies > 1 {
				name += fmt.Sprint("#", n+1)
			}
			names = append(names, name)
		}
	}
	return names
}

func (e *explorer) describe(from *state, c choice) string {
	text := c.what
	if c.call != none {
		call := *e.calls.get(c.call)
		subject := call.String()
		if store, ok := (View{e, from}).Store(call.Service).(Describer); ok {
			subject = call.Service + " " + store.Describe(call)
		}
		text = strings.Replace(text, "%s", subject, 1)
	}
	if status := e.status(c.to.nodes[c.landed]); (status == Ended || status == Failed) && !strings.Contains(text, "abandoned") {
		text += "; it has " + status.String()
	}
	return text
}
