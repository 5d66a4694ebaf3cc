package schedules

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// interner numbers values by their keys, from 0.
type interner[V any] struct {
	mu     sync.Mutex
	ids    map[string]int32
	values []V
}

// add returns the number of the value with that key, which is v if there was
// none.
func (t *interner[V]) add(key string, v V) int32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, known := t.ids[key]
	if !known {
		if t.ids == nil {
			t.ids = map[string]int32{}
		}
		id = int32(len(t.values))
		t.ids[key] = id
		t.values = append(t.values, v)
	}
	return id
}

func (t *interner[V]) get(id int32) V {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.values[id]
}

// node is what a process does next after some history.
type node struct {
	id        int32
	process   int
	input     string
	history   []event // the first that led here
	waiting   []int32 // calls
	abandoned []int32 // calls
	status    Status
	err       error // why the process failed

	mu   sync.Mutex
	next map[event]*node
}

// memory is what was found out about the processes and the stores. Many
// goroutines may use it at once.
type memory struct {
	t        *testing.T
	scenario *Scenario
	names    []string // of the stores, in order

	calls   interner[Call]
	answers interner[Response]
	stores  interner[Store]
	nodes   interner[*node]

	mu      sync.Mutex
	served  map[served][]outcome
	starts  map[start]*node
	replays int
	events  int // of all replays: calls of real code that were answered
}

// start is a process that is started with an input.
type start struct {
	process int
	input   string
}

// served is a call to a store that is in some state.
type served struct {
	store, call int32
	twin        bool
}

// outcome is an [Outcome] by numbers.
type outcome struct {
	answer, store int32
	note          string
	fault         bool
	constant      bool
}

func (m *memory) store(name string, s Store) int32 {
	return m.stores.add(name+"\x00"+s.Key(), s)
}

// serve returns how a call to a store can end, each way once.
func (m *memory) serve(name string, store, call int32, twin bool) []outcome {
	key := served{store, call, twin}
	m.mu.Lock()
	known, ok := m.served[key]
	m.mu.Unlock()
	if ok {
		return known
	}
	c := m.calls.get(call)
	c.Twin = twin
	var all []outcome
	for _, o := range m.stores.get(store).Serve(c) {
		one := outcome{m.answers.add(o.Response.id(), o.Response), store, o.Note, o.Fault, o.Constant}
		if o.Store != nil {
			one.store = m.store(name, o.Store)
		}
		if !slices.ContainsFunc(all, func(other outcome) bool { return other.answer == one.answer && other.store == one.store }) {
			all = append(all, one)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if earlier, ok := m.served[key]; ok { // another goroutine was faster
		return earlier
	}
	m.served[key] = all
	return all
}

// begin returns what a process does first.
func (m *memory) begin(process int, input string) (*node, error) {
	key := start{process, input}
	m.mu.Lock()
	known := m.starts[key]
	m.mu.Unlock()
	if known != nil {
		return known, nil
	}
	n, err := m.find(process, input, nil)
	if err == nil {
		m.mu.Lock()
		m.starts[key] = n
		m.mu.Unlock()
	}
	return n, err
}

// after returns what a process does next after an event.
func (m *memory) after(n *node, e event) (*node, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if next := n.next[e]; next != nil {
		return next, nil
	}
	next, err := m.find(n.process, n.input, append(slices.Clip(n.history), e))
	if err == nil {
		n.next[e] = next
	}
	return next, err
}

// find runs the process.
func (m *memory) find(process int, input string, history []event) (*node, error) {
	p := &m.scenario.Processes[process]
	at, err := replay(m.t, p, input, m.answered(history))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	m.mu.Lock()
	m.replays++
	m.events += len(history)
	m.mu.Unlock()
	n := &node{process: process, input: input, history: history, next: map[event]*node{}, status: Running, err: at.err}
	n.waiting, n.abandoned = m.number(at.waiting), m.number(at.abandoned)
	if at.ended {
		n.status = Ended
	}
	if at.err != nil {
		n.status = Failed
	}
	return m.intern(n), nil
}

// intern returns the node that is like n, or n.
func (m *memory) intern(n *node) *node {
	id := m.nodes.add(m.key(n), n)
	known := m.nodes.get(id)
	if known == n {
		n.id = id
	}
	return known
}

// key identifies what can become of a process. Of one that is over, its history
// says nothing.
func (m *memory) key(n *node) string {
	var b strings.Builder
	_, panicked := n.err.(*Panic)
	fmt.Fprint(&b, n.process, n.status, panicked, n.abandoned)
	if n.status == Running {
		history := n.history
		if !m.scenario.Ordered {
			history = slices.SortedFunc(slices.Values(history), event.compare)
		}
		fmt.Fprintf(&b, "%q%d%d", n.input, n.waiting, history)
	}
	return b.String()
}

func (m *memory) number(calls []Call) []int32 {
	ids := make([]int32, len(calls))
	for i, c := range calls {
		ids[i] = m.calls.add(c.id(), c)
	}
	return ids
}

func (m *memory) answered(history []event) []answered {
	all := make([]answered, len(history))
	for i, e := range history {
		all[i].Call = m.calls.get(e.call)
		if e.answer != none {
			r := m.answers.get(e.answer)
			all[i].Response = &r
		}
	}
	return all
}
