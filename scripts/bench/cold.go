package main

import (
	"context"
	"fmt"
	"time"
)

// wholeCore is the memory in MB with which a function has one CPU ("Configure
// Lambda function memory", AWS Lambda Developer Guide); its share grows with the
// memory.
const wholeCore = 1769

// memorySizes are the settings that are compared, in MB: 1/14 of a core, which
// is the least that there is, 1/7, 1/4, 1/2 and a whole one.
var memorySizes = []int{128, 256, 442, 884, wholeCore}

// period is how often the kernel gives out a share. Lambda's own is not
// published; those who measured it found 20 ms.
const period = 20 * time.Millisecond

// What the functions must keep to, beside an empty handler of the same build.
const (
	maxWebhookInit  = 1.7 // ×
	maxDispatchInit = 2.0 // ×
	maxFirstAnswer  = 10  // ms more
	maxMemory       = 40  // MB
)

// connect is what a new connection costs in the part that has them: two round
// trips within a region and, of Ittybit's, some more.
const connect = 20 * time.Millisecond

// start is what one cold start took.
type start struct {
	init, first  sample // ms from exec to the first request for work, and to the first answer
	memory, busy sample // MB at most; ms on the CPU until then
}

// starts are the cold starts of functions, by name.
type starts map[string]*start

// contestants are the functions that are started in turn. Sweep's first answer
// is left out: nobody waits for it.
var contestants = []string{empty, "webhook", "dispatch", "sweep"}

// cold measures cold starts with the whole machine, by memory size, and with
// connections that cost something.
func (b *bench) cold(ctx context.Context) error {
	w, err := b.world(ctx, 0, latency{})
	if err != nil {
		return err
	}
	defer w.close()

	all, err := w.startAll(ctx, b.often(40), setup{})
	if err != nil {
		return err
	}
	floor := all[empty]
	for _, name := range contestants {
		s := all[name]
		b.report("init "+name, "ms", s.init, nil)
		if name == empty {
			continue
		}
		var limit *Limit
		switch name {
		case "webhook":
			limit = atMost(maxWebhookInit)
		case "dispatch":
			limit = atMost(maxDispatchInit)
		}
		b.compare("init "+name+" / empty", "×", s.init, floor.init, ratio, limit)
	}
	for _, name := range contestants[:3] {
		s := all[name]
		b.report("init and first answer "+name, "ms", s.first, nil)
		if name != empty {
			b.compare("init and first answer "+name+" − empty", "ms", s.first, floor.first, difference, atMost(maxFirstAnswer))
		}
		if len(s.memory) > 0 {
			b.report("memory "+name, "MB", s.memory, atMost(maxMemory))
			b.report("CPU until first answer "+name, "ms", s.busy, nil)
		}
	}

	vars, err := w.far(connect)
	if err != nil {
		return err
	}
	if all, err = w.startAll(ctx, b.often(20), setup{env: vars}); err != nil {
		return err
	}
	for _, name := range contestants[1:3] {
		s := all[name]
		b.report(fmt.Sprintf("init and first answer %s, TLS, %v a connection", name, connect), "ms", s.first, nil)
		if len(s.busy) > 0 {
			b.report(fmt.Sprintf("CPU until first answer %s, TLS", name), "ms", s.busy, nil)
		}
	}

	for _, mb := range memorySizes {
		if err := b.coldAt(ctx, w, mb, setup{env: vars}); err != nil {
			b.note("no CPU shares: %v", err)
			return nil
		}
	}
	return nil
}

// coldAt measures cold starts with the CPU that a memory size has.
func (b *bench) coldAt(ctx context.Context, w *world, mb int, s setup) error {
	share := min(float64(mb)/wholeCore, 1)
	group, err := newCPUGroup(share)
	if err != nil {
		return err
	}
	defer group.remove()
	b.note("%d MB: %.3f of a core, by a control group with a period of %v", mb, share, period)
	s.start = group.start
	all, err := w.startAll(ctx, b.often(12), s)
	if err != nil {
		return err
	}
	for _, name := range contestants[:3] {
		b.report(fmt.Sprintf("at %d MB: init %s", mb, name), "ms", all[name].init, nil)
		b.report(fmt.Sprintf("at %d MB: init and first answer %s, TLS, %v a connection", mb, name, connect), "ms", all[name].first, nil)
	}
	return nil
}

// startAll starts each function so many times, in turn.
func (w *world) startAll(ctx context.Context, runs int, s setup) (starts, error) {
	// Beside them, one that is warm makes the jobs whose callbacks webhook gets.
	warm, err := w.function(ctx, "dispatch", setup{})
	if err != nil {
		return nil, err
	}
	defer warm.Close()
	all := starts{}
	functions := map[string]*function{}
	for _, name := range contestants {
		f, err := w.function(ctx, name, s)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		all[name], functions[name] = &start{}, f
	}
	for range runs {
		for _, name := range contestants {
			if err := w.startOnce(ctx, functions[name], warm, all[name]); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// startOnce starts a function for an event that is there already, as Lambda
// does, and kills it.
func (w *world) startOnce(ctx context.Context, f, warm *function, s *start) error {
	event := []byte("{}")
	switch f.Name() {
	case "dispatch":
		_, event = w.upload(3)
	case "webhook":
		u, ids, _, err := w.dispatched(ctx, warm, 3)
		if err != nil {
			return err
		}
		if event, err = w.callback(u, "video-0", ids["video-0"]); err != nil {
			return err
		}
	case "sweep":
		took, err := f.Check(ctx)
		if err == nil {
			s.init.add(milliseconds(took))
			f.Kill()
		}
		return err
	}
	_, took, err := invoke(ctx, f, event)
	if err != nil {
		return err
	}
	s.first.add(milliseconds(took))
	s.init.add(milliseconds(f.init()))
	for _, pid := range f.PIDs() {
		if memory, busy, err := usageOf(pid); err == nil {
			s.memory.add(float64(memory) / 1e6)
			s.busy.add(milliseconds(busy))
		}
	}
	f.Kill()
	return nil
}
