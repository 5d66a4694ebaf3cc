package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// maxInitAllocations is what this module's own packages may allocate before main
// runs, in times: a regular expression that every start compiles is hundreds.
const maxInitAllocations = 100

// initialise reports which packages take the time of an init before main runs,
// as the runtime tells it.
func (b *bench) initialise(ctx context.Context) error {
	const least = 0.05 // ms, to be worth a line
	w, err := b.world(ctx, 0, latency{})
	if err != nil {
		return err
	}
	defer w.close()
	for _, name := range contestants {
		var log bytes.Buffer
		f, err := w.function(ctx, name, setup{env: map[string]string{"GODEBUG": "inittrace=1"}, log: &log})
		if err != nil {
			return err
		}
		for range b.often(20) {
			if _, err := f.Check(ctx); err != nil {
				return err
			}
			f.Kill()
		}
		f.Close() // then all has been said
		times := map[string]*sample{}
		var all, allocations sample
		for _, run := range initRuns(log.String()) {
			total := 0.0
			for pkg, i := range run {
				if times[pkg] == nil {
					times[pkg] = &sample{}
				}
				times[pkg].add(i.ms)
				total += i.ms
			}
			all.add(total)
			allocations.add(run[own].allocations)
		}
		if len(all) == 0 {
			return fmt.Errorf("%s did not tell of its init", name)
		}
		b.report(name+": all packages", "ms", all, nil)
		for _, pkg := range slices.SortedFunc(maps.Keys(times), func(x, y string) int { return cmp.Compare(times[y].median(), times[x].median()) }) {
			if times[pkg].median() >= least {
				b.report(name+": "+pkg, "ms", *times[pkg], nil)
			}
		}
		if name != empty {
			b.report(name+": "+own+", allocations", "allocs", allocations, atMost(maxInitAllocations))
		}
	}
	return nil
}

// initialised is a line of GODEBUG=inittrace=1 ("Environment Variables", package
// runtime).
var initialised = regexp.MustCompile(`(?m)^init (\S+) @[\d.]+ ms, ([\d.]+) ms clock, \d+ bytes, (\d+) allocs`)

// initialisation is what packages took.
type initialisation struct{ ms, allocations float64 }

// initRuns are the initialisations by package of processes that ran one after
// the other: each begins with the same package.
func initRuns(log string) (runs []map[string]initialisation) {
	first := ""
	for _, m := range initialised.FindAllStringSubmatch(log, -1) {
		if first == "" {
			first = m[1]
		}
		if m[1] == first {
			runs = append(runs, map[string]initialisation{})
		}
		ms, _ := strconv.ParseFloat(m[2], 64) // digits
		allocations, _ := strconv.ParseFloat(m[3], 64)
		run, pkg := runs[len(runs)-1], family(m[1]+".init")
		run[pkg] = initialisation{run[pkg].ms + ms, run[pkg].allocations + allocations}
	}
	return runs
}
