package main

import (
	"cmp"
	"context"

	"ittybit-media/scripts/internal/procstat"
	"ittybit-media/scripts/local/aws/lambda"
)

// What cold starts must keep to, compared with an empty handler of the same
// build.
const (
	maxFirstAnswer = 10 // ms more
	maxMemory      = 40 // MB
)

// maxInit has the limits of the init as a multiple of the empty handler's.
var maxInit = map[string]*Limit{"webhook": atMost(1.7), "dispatch": atMost(2)}

// functions are started in turn.
var functions = []string{empty, "webhook", "dispatch", "sweep"}

// start is what cold starts of one function took.
type start struct {
	init, first  sample // ms from exec to the first request for an event, and to the first answer
	memory, busy sample // peak in MB, and ms on the CPU, until the first answer
}

// cold measures cold starts with the whole machine.
func (b *bench) cold(ctx context.Context) (figures, error) {
	s, err := b.services(ctx, 0, 0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	starts, err := s.startAll(ctx, cmp.Or(b.runs, 40))
	if err != nil {
		return nil, err
	}
	var out figures
	baseline := starts[empty]
	for _, name := range functions {
		f := starts[name]
		out.add("init "+name, "ms", f.init, nil)
		if name != empty {
			out.add("init "+name+" / empty", "×", pairs(f.init, baseline.init, ratio), maxInit[name])
		}
	}
	for _, name := range functions {
		f := starts[name]
		if len(f.first) == 0 {
			continue
		}
		out.add("init and first answer "+name, "ms", f.first, nil)
		if name != empty {
			out.add("init and first answer "+name+" − empty", "ms", pairs(f.first, baseline.first, difference), atMost(maxFirstAnswer))
		}
		if len(f.memory) > 0 {
			out.add("memory "+name, "MB", f.memory, atMost(maxMemory))
			out.add("CPU until first answer "+name, "ms", f.busy, nil)
		}
	}
	return out, nil
}

// startAll starts each function as often as runs says, in turn.
func (s *services) startAll(ctx context.Context, runs int) (map[string]*start, error) {
	// A warm dispatch creates the jobs whose callbacks webhook gets.
	warm, err := s.function(ctx, "dispatch", setup{})
	if err != nil {
		return nil, err
	}
	defer warm.Close()
	starts := map[string]*start{}
	started := map[string]*lambda.Function{}
	for _, name := range functions {
		f, err := s.function(ctx, name, setup{})
		if err != nil {
			return nil, err
		}
		defer f.Close()
		starts[name], started[name] = &start{}, f
	}
	for range runs {
		for _, name := range functions {
			event, err := s.firstEvent(ctx, name, warm)
			if err != nil {
				return nil, err
			}
			if err := startOnce(ctx, started[name], event, starts[name]); err != nil {
				return nil, err
			}
		}
	}
	return starts, nil
}

// firstEvent is what a function is started for; nil for sweep, whose first
// answer nothing waits for.
func (s *services) firstEvent(ctx context.Context, name string, warm *lambda.Function) ([]byte, error) {
	switch name {
	case "dispatch":
		_, event := s.upload(3)
		return event, nil
	case "webhook":
		d, err := s.dispatchUpload(ctx, warm, 3)
		if err != nil {
			return nil, err
		}
		return s.callback(d, "video-0")
	case "sweep":
		return nil, nil
	}
	return []byte("{}"), nil
}

// startOnce starts a function, has it answer the event and kills it.
func startOnce(ctx context.Context, f *lambda.Function, event []byte, into *start) error {
	defer f.Kill()
	ready, err := f.Check(ctx)
	if err != nil {
		return err
	}
	into.init.add(milliseconds(ready))
	if event == nil {
		return nil
	}
	_, took, err := invoke(ctx, f, event)
	if err != nil {
		return err
	}
	into.first.add(milliseconds(ready + took))
	for _, pid := range f.PIDs() {
		if u, err := procstat.Read(pid); err == nil {
			into.memory.add(float64(u.PeakMemory) / 1e6)
			into.busy.add(milliseconds(u.CPU))
		}
	}
	return nil
}
