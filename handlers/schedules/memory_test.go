package schedules

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// interner numbers values by their keys, from 0.
type interner[V any] struct {
	mu     sync.Mutex
	ids    map[string]int32
	values atomic.Pointer[[]V] // only ever grows
}

// add returns the number of the value with that key, which is v if there was
// none.
func (t *interner[V]) add(key string, v V) int32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, known := t.ids[key]
	if !known {
		var values []V
		if t.ids == nil {
			t.ids = map[string]int32{}
		} else {
			values = *t.values.Load()
		}
		id = int32(len(values))
		values = append(values, v)
		t.ids[key] = id
		t.values.Store(&values)
	}
	return id
}

func (t *interner[V]) get(id int32) V { return (*t.values.Load())[id] }

// node is what a process does next after some history.
type node struct {
	rank      string // orders nodes, the same way every time
	process   int
	input     string
	history   []event // the first that led here
	waiting   []int32 // calls
	abandoned []int32 // calls
	status    Status
	err       error // why the process failed

	mu   sync.Mutex
	next map[event]int32
}

// memory is what was found out about the processes and the stores. Many
// goroutines may use it at once.
type memory struct {
	t        *testing.T
	scenario *Scenario
	names    []string // of the stores, in order

	calls   interner[*Call]
	answers interner[Response]
	stores  interner[Store]
	nodes   interner[*node]

	mu      sync.RWMutex
	served  map[served][]outcome
	starts  map[start]int32
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
	m.mu.RLock()
	known, ok := m.served[key]
	m.mu.RUnlock()
	if ok {
		return known
	}
	c := *m.calls.get(call)
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

// begin returns the number of the node at which a process starts.
func (m *memory) begin(process int, input string) (int32, error) {
	key := start{process, input}
	m.mu.RLock()
	id, known := m.starts[key]
	m.mu.RUnlock()
	if known {
		return id, nil
	}
	id, err := m.find(process, input, nil)
	if err == nil {
		m.mu.Lock()
		m.starts[key] = id
		m.mu.Unlock()
	}
	return id, err
}

// after returns the number of the node that follows an event.
func (m *memory) after(n *node, e event) (int32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if id, known := n.next[e]; known {
		return id, nil
	}
	id, err := m.find(n.process, n.input, append(slices.Clip(n.history), e))
	if err == nil {
		n.next[e] = id
	}
	return id, err
}

// find runs the process, and returns the number of the node where it is then.
func (m *memory) find(process int, input string, history []event) (int32, error) {
	p := &m.scenario.Processes[process]
	at, err := replay(m.t, p, input, m.answered(history))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.Name, err)
	}
	m.mu.Lock()
	m.replays++
	m.events += len(history)
	m.mu.Unlock()
	n := &node{process: process, input: input, history: history, next: map[event]int32{}, status: Running, err: at.err}
	n.waiting, n.abandoned = m.number(at.waiting), m.number(at.abandoned)
	if at.ended {
		n.status = Ended
	}
	if at.err != nil {
		n.status = Failed
	}
	n.rank = m.rankOf(n)
	key := n.rank
	if m.scenario.Ordered && n.status == Running {
		key += fmt.Sprint(history)
	}
	return m.nodes.add(key, n), nil
}

// rankOf identifies what can become of a process, but for the order of its
// history. Of one that is over, its history says nothing.
func (m *memory) rankOf(n *node) string {
	_, panicked := n.err.(*Panic)
	parts := []string{fmt.Sprint(n.process, n.status, panicked)}
	add := func(calls []int32) {
		for _, call := range calls {
			parts = append(parts, m.calls.get(call).id())
		}
		parts = append(parts, "")
	}
	add(n.abandoned)
	if n.status == Running {
		parts = append(parts, n.input)
		add(n.waiting)
		parts = append(parts, m.told(n.history)...)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x01")))
	return string(sum[:])
}

// told lists the events of a history, sorted.
func (m *memory) told(history []event) []string {
	all := make([]string, len(history))
	for i, e := range m.answered(history) {
		all[i] = e.Call.id()
		if e.Response != nil {
			all[i] += "\x02" + e.Response.id()
		}
	}
	slices.Sort(all)
	return all
}

func (m *memory) number(calls []Call) []int32 {
	ids := make([]int32, len(calls))
	for i, c := range calls {
		ids[i] = m.calls.add(c.id(), &c)
	}
	return ids
}

func (m *memory) answered(history []event) []answered {
	all := make([]answered, len(history))
	for i, e := range history {
		all[i].Call = *m.calls.get(e.call)
		if e.answer != none {
			r := m.answers.get(e.answer)
			all[i].Response = &r
		}
	}
	return all
}
