package schedules

import (
	"cmp"
	"fmt"
	"slices"
)

// none is the answer to a call that the process no longer waits for.
const none int32 = -1

func (e event) compare(other event) int {
	return cmp.Or(cmp.Compare(e.call, other.call), cmp.Compare(e.answer, other.answer))
}

// choice is one way in which a state can go on.
type choice struct {
	process int
	what    string // with a call's description in place of %s
	call    int32  // none: it is about no call
	to      state
}

// choices lists how a state can go on, always in the same order.
func (e *explorer) choices(s *state) ([]choice, error) {
	var all []choice
	for i := range e.scenario.Processes {
		var own []choice
		var err error
		switch id := s.nodes[i]; id {
		case hasCrashed:
		case notStarted:
			own, err = e.starts(s, i)
		default:
			own, err = e.steps(s, i, e.nodes.get(id))
		}
		if err != nil {
			return nil, err
		}
		all = append(all, own...)
	}
	for i := range all {
		if err := e.rush(&all[i].to); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// starts lists the ways in which a process can be started, each with the end of
// its first call: until then nothing shows that it was.
func (e *explorer) starts(s *state, process int) ([]choice, error) {
	b := brancher{explorer: e, from: s, process: process}
	for i, input := range e.scenario.Processes[process].Inputs(View{e, s}) {
		n, err := e.begin(process, input)
		if err != nil {
			return nil, err
		}
		if i == 0 && s.crashes > 0 {
			b.crash("crashes before its first call", none, *s)
		}
		b.node, b.prefix = n, fmt.Sprintf("started with %q, ", input)
		if n.status == Running {
			b.calls()
			continue
		}
		to := *s
		to.nodes[process] = n.id
		b.add(b.prefix+"makes no call", none, to)
	}
	return b.all, b.err
}

// steps lists what can happen to a process that was started.
func (e *explorer) steps(s *state, process int, n *node) ([]choice, error) {
	b := brancher{explorer: e, from: s, process: process, node: n}
	if n.status == Running && len(n.history) == 0 && s.crashes > 0 {
		b.crash("crashes before its first call", none, *s)
	}
	b.calls()
	return b.all, b.err
}

// brancher collects the choices of one process.
type brancher struct {
	*explorer
	from    *state
	process int
	node    *node
	prefix  string
	all     []choice
	err     error
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
	lost := b.memory.answers.add(Response{}.id(), Response{})
	for _, o := range outcomes {
		to := *b.from
		to.stores[slot] = o.store
		if o.fault {
			if to.faults--; to.faults < 0 {
				continue
			}
		}
		b.step(note("%s", o.note), call, event{call, o.answer}, to)
		if changed := o.store != b.from.stores[slot]; !changed {
			continue
		}
		if to.crashes > 0 {
			b.crash(b.prefix+note("crashes after %s (applied, answer lost)", o.note), call, to)
		}
		if !o.fault && to.faults > 0 {
			to.faults--
			b.step(note("%s (applied, answer lost)", o.note), call, event{call, lost}, to)
		}
	}
	if b.from.faults > 0 && len(outcomes) > 0 && !outcomes[0].constant {
		to := *b.from
		to.faults--
		b.step("%s (does not arrive)", call, event{call, lost}, to)
	}
}

// late adds the ways in which an abandoned call can end.
func (b *brancher) late(call int32) {
	slot, outcomes := b.outcomes(b.from, call)
	gone := event{call, none}
	b.step("%s (abandoned, never arrives)", call, gone, *b.from)
	for _, o := range outcomes {
		if o.store != b.from.stores[slot] && !o.fault {
			to := *b.from
			to.stores[slot] = o.store
			b.step(note("%s (abandoned, arrives late)", o.note), call, gone, to)
		}
	}
}

func note(what, note string) string {
	if note == "" {
		return what
	}
	return what + " (" + note + ")"
}

func (b *brancher) crash(what string, call int32, to state) {
	to.crashes--
	to.nodes[b.process] = hasCrashed
	b.add(what, call, to)
}

func (b *brancher) add(what string, call int32, to state) {
	b.all = append(b.all, choice{b.process, what, call, to})
}

func (b *brancher) step(what string, call int32, e event, to state) {
	next, err := b.after(b.node, e)
	if err != nil {
		b.err = err
		return
	}
	to.nodes[b.process] = next.id
	b.add(b.prefix+what, call, to)
}

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
	for i := range e.scenario.Processes {
		if s.nodes[i] < 0 {
			continue
		}
		for _, call := range e.nodes.get(s.nodes[i]).waiting {
			if e.calls.get(call).Key == key {
				n++
			}
		}
	}
	return n
}

// rush answers the calls whose answer nothing can change: no other order of them
// makes a difference.
func (e *explorer) rush(s *state) error {
	for i := range e.scenario.Processes {
		for s.nodes[i] >= 0 {
			n := e.nodes.get(s.nodes[i])
			at := slices.IndexFunc(n.waiting, func(call int32) bool {
				_, all := e.outcomes(s, call)
				return len(all) == 1 && all[0].constant
			})
			if at < 0 {
				break
			}
			_, all := e.outcomes(s, n.waiting[at])
			next, err := e.after(n, event{n.waiting[at], all[0].answer})
			if err != nil {
				return err
			}
			s.nodes[i] = next.id
		}
	}
	return nil
}
