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

// initialise reports which packages take the time of an init before main runs,
// as the runtime tells it.
func (b *bench) initialise(ctx context.Context, w *world) error {
	const least = 0.05 // ms, to be worth a line
	for _, name := range contestants[:3] {
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
		var all sample
		for _, run := range initRuns(log.String()) {
			total := 0.0
			for pkg, ms := range run {
				if times[pkg] == nil {
					times[pkg] = &sample{}
				}
				times[pkg].add(ms)
				total += ms
			}
			all.add(total)
		}
		b.report(fmt.Sprintf("init %s: packages before main", name), "ms", all, nil)
		for _, pkg := range slices.SortedFunc(maps.Keys(times), func(x, y string) int { return cmp.Compare(times[y].median(), times[x].median()) }) {
			if times[pkg].median() >= least {
				b.report(fmt.Sprintf("init %s: packages before main, %s", name, pkg), "ms", *times[pkg], nil)
			}
		}
	}
	return nil
}

// initialised is a line of GODEBUG=inittrace=1 ("Environment Variables", package
// runtime).
var initialised = regexp.MustCompile(`(?m)^init (\S+) @[\d.]+ ms, ([\d.]+) ms clock`)

// initRuns are the milliseconds by package of processes that ran one after the
// other: each begins with the same package.
func initRuns(log string) (runs []map[string]float64) {
	first := ""
	for _, m := range initialised.FindAllStringSubmatch(log, -1) {
		if first == "" {
			first = m[1]
		}
		if m[1] == first {
			runs = append(runs, map[string]float64{})
		}
		ms, _ := strconv.ParseFloat(m[2], 64) // digits
		runs[len(runs)-1][family(m[1]+".init")] += ms
	}
	return runs
}
