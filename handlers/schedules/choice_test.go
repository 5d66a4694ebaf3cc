package schedules

import (
	"fmt"
	"slices"
)

// none is the answer to a call that the process no longer waits for.
const none int32 = -1

// choice is one way in which a state can go on.
type choice struct {
	slot   int    // of the process that it is about
	landed int    // where that process is in the state afterwards
	what   string // with a call's description in place of %s
	call   int32  // none: it is about no call
	to     state
}

// choices lists how a state can go on, always in the same order.
func (e *explorer) choices(s *state) ([]choice, error) {
	b := brancher{explorer: e, from: s}
	for slot, process := range e.slots {
		if !e.scenario.Processes[process].Last || s.nodes[slot] != notStarted {
			b.process(slot)
		}
	}
	for slot, process := range e.slots {
		if len(b.all) == 0 && e.scenario.Processes[process].Last && s.nodes[slot] == notStarted {
			b.process(slot)
		}
	}
	return b.all, b.err
}

// brancher collects the choices of a state.
type brancher struct {
	*explorer
	from   *state
	slot   int // whose choices are collected
	node   *node
	prefix string // of what happens
	all    []choice
	err    error
}

// process adds the choices of one process. Of several that are as far, one
// stands for all.
func (b *brancher) process(slot int) {
	id := b.from.nodes[slot]
	if slot > 0 && b.slots[slot-1] == b.slots[slot] && b.from.nodes[slot-1] == id || id == hasCrashed {
		return
	}
	b.slot, b.prefix = slot, ""
	if id == notStarted {
		b.starts()
		return
	}
	b.node = b.nodes.get(id)
	if b.node.status == Running && len(b.node.history) == 0 {
		b.crash("crashes before its first call", none, *b.from)
	}
	b.calls()
}

// starts adds the ways in which the process can be started, each with the end of
// its first call: until then nothing shows that it was.
func (b *brancher) starts() {
	process := b.slots[b.slot]
	inputs := []string{""}
	if list := b.scenario.Processes[process].Inputs; list != nil {
		inputs = list(View{b.explorer, b.from})
	}
	for i, input := range inputs {
		id, err := b.begin(process, input)
		if err != nil {
			b.err = err
			return
		}
		if i == 0 {
			b.crash("crashes before its first call", none, *b.from)
		}
		b.node, b.prefix = b.nodes.get(id), "starts, "
		if input != "" {
			b.prefix = fmt.Sprintf("starts with %q, ", input)
		}
		if b.node.status == Running {
			b.calls()
		} else {
			b.add("makes no call", none, id, *b.from)
		}
	}
}

// calls adds the ways in which the calls under way can end.
func (b *brancher) calls() {
	for i, call := range b.node.waiting {
		if i == 0 || call != b.node.waiting[i-1] {
			b.answers(call)
		}
	}
	for _, call := range b.node.abandoned {
		b.late(call)
	}
}

// answers adds the ways in which a call that the process waits for can end.
func (b *brancher) answers(call int32) {
	slot, outcomes := b.outcomes(b.from, call)
	for _, o := range outcomes {
		to := *b.from
		to.stores[slot] = o.store
		if o.fault {
			if to.faults--; to.faults < 0 {
				continue
			}
		}
		b.step(note("%s", o.note), event{call, o.answer}, to)
		if changed := o.store != b.from.stores[slot]; !changed {
			continue
		}
		b.crash(note("crashes after %s (applied, answer lost)", o.note), call, to)
		if !o.fault {
			b.lose(note("%s (applied, answer lost)", o.note), call, to)
		}
	}
	b.lose("%s (does not arrive)", call, *b.from)
}

// late adds the ways in which an abandoned call can end.
func (b *brancher) late(call int32) {
	slot, outcomes := b.outcomes(b.from, call)
	gone := event{call, none}
	b.step("%s (abandoned, never arrives)", gone, *b.from)
	for _, o := range outcomes {
		if o.store != b.from.stores[slot] && !o.fault {
			to := *b.from
			to.stores[slot] = o.store
			b.step(note("%s (abandoned, arrives late)", o.note), gone, to)
		}
	}
}

func note(what, note string) string {
	if note == "" {
		return what
	}
	return what + " (" + note + ")"
}

// crash adds a crash, if there may be one.
func (b *brancher) crash(what string, call int32, to state) {
	if to.crashes > 0 {
		to.crashes--
		b.add(what, call, hasCrashed, to)
	}
}

// lose adds a fault that keeps the answer from the process, if there may be one.
func (b *brancher) lose(what string, call int32, to state) {
	if to.faults > 0 {
		to.faults--
		b.step(what, event{call, b.answerNone()}, to)
	}
}

func (b *brancher) step(what string, e event, to state) {
	next, err := b.after(b.node, e)
	if err != nil {
		b.err = err
		return
	}
	b.add(what, e.call, next, to)
}

// add adds a choice after which the process is at a node, or has crashed.
func (b *brancher) add(what string, call, node int32, to state) {
	to.nodes[b.slot] = node
	if err := b.rush(&to, b.slot); err != nil {
		b.err = err
		return
	}
	b.all = append(b.all, choice{b.slot, b.arrange(&to, b.slot), b.prefix + what, call, to})
}

// answerNone is the number of an answer that is lost.
func (m *memory) answerNone() int32 { return m.answers.add(Response{}.id(), Response{}) }

// outcomes asks the store of a call.
func (e *explorer) outcomes(s *state, call int32) (slot int, all []outcome) {
	c := e.calls.get(call)
	slot = slices.Index(e.names, c.Service)
	if slot < 0 {
		panic(fmt.Sprintf("schedules: the scenario has no store for the call %v", c))
	}
	return slot, e.serve(c.Service, s.stores[slot], call, c.Key != "" && e.twins(s, c.Key) > 1)
}

// twins counts the calls under way with an idempotency key.
func (e *explorer) twins(s *state, key string) int {
	n := 0
	for slot := range e.slots {
		if s.nodes[slot] < 0 {
			continue
		}
		for _, call := range e.nodes.get(s.nodes[slot]).waiting {
			if e.calls.get(call).Key == key {
				n++
			}
		}
	}
	return n
}

// rush answers the process's calls whose answer nothing can change: no other
// order of them makes a difference.
func (e *explorer) rush(s *state, slot int) error {
	for s.nodes[slot] >= 0 {
		n := e.nodes.get(s.nodes[slot])
		var answer int32
		at := slices.IndexFunc(n.waiting, func(call int32) bool {
			_, all := e.outcomes(s, call)
			answer = all[0].answer
			return len(all) == 1 && all[0].constant
		})
		if at < 0 {
			break
		}
		next, err := e.after(n, event{n.waiting[at], answer})
		if err != nil {
			return err
		}
		s.nodes[slot] = next
	}
	return nil
}

// arrange puts the copies of a process in order, of which the one in the slot
// moved, and returns where it is now.
func (e *explorer) arrange(s *state, slot int) int {
	swap := func(with int) bool {
		if with < 0 || with >= len(e.slots) || e.slots[with] != e.slots[slot] {
			return false
		}
		if e.less(s.nodes[slot], s.nodes[with]) != (slot > with) || s.nodes[slot] == s.nodes[with] {
			return false
		}
		s.nodes[slot], s.nodes[with] = s.nodes[with], s.nodes[slot]
		slot = with
		return true
	}
	for swap(slot-1) || swap(slot+1) {
	}
	return slot
}

// less orders nodes, the same way every time.
func (e *explorer) less(a, b int32) bool {
	if a < 0 || b < 0 {
		return a < b
	}
	return e.nodes.get(a).rank < e.nodes.get(b).rank
}
