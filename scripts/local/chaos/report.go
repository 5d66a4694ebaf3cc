package chaos

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// Report is what a run came to.
type Report struct {
	Seed    uint64         `json:"seed"`
	Uploads int            `json:"uploads"`
	Jobs    int            `json:"jobs"` // at Ittybit
	Rows    map[string]int `json:"rows"` // by state

	Doubled    int `json:"doubled"`     // jobs that Ittybit made once more
	Lost       int `json:"lost"`        // uploads without a row that they should have
	Wrong      int `json:"wrong"`       // rows that the reference has otherwise, or not at all, or that went back on the way
	Forged     int `json:"forged"`      // forged callbacks that were accepted
	Open       int `json:"open"`        // rows that were in sweep's index and final, or not there and not final
	Unfinished int `json:"unfinished"`  // 1: something was not over when the simulated time was
	SweepScans int `json:"sweep_scans"` // reads of sweep that were not of its index

	DeadLetters int          `json:"dead_letters"`
	Faults      map[Kind]int `json:"faults"` // that happened

	SimulatedHours float64 `json:"simulated_hours"`
	RealSeconds    float64 `json:"real_seconds"`
	// Resident memory in bytes; 0 where the system does not tell.
	BaseMemory          int64 `json:"base_memory"` // before the first upload
	PeakMemory          int64 `json:"peak_memory"`
	FunctionMemoryEarly int64 `json:"function_memory_early"` // the largest process of a function, after a third of the uploads
	FunctionMemory      int64 `json:"function_memory"`       // the same in the end

	Mistakes []string `json:"mistakes,omitempty"` // examples of what is wrong
}

// OK reports whether the pipeline kept its promises.
func (r Report) OK() bool {
	return r.Doubled == 0 && r.Lost == 0 && r.Wrong == 0 && r.Forged == 0 && r.Open == 0 && r.Unfinished == 0 && r.SweepScans == 0
}

// Print writes the report for people.
func (r Report) Print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(what string, value any) { fmt.Fprintf(w, "%s\t%v\n", what, value) }
	line("seed", r.Seed)
	line("uploads", r.Uploads)
	line("jobs at Ittybit", r.Jobs)
	for _, state := range slices.Sorted(maps.Keys(r.Rows)) {
		line("rows "+state, r.Rows[state])
	}
	line("dead letters", r.DeadLetters)
	for _, k := range slices.Sorted(maps.Keys(r.Faults)) {
		line("fault: "+string(k), r.Faults[k])
	}
	line("simulated time", fmt.Sprintf("%.1f h", r.SimulatedHours))
	line("real time", fmt.Sprintf("%.1f s", r.RealSeconds))
	line("peak memory", fmt.Sprintf("%.0f MB, of which %.0f MB before the first upload", megabytes(r.PeakMemory), megabytes(r.BaseMemory)))
	line("largest function process", fmt.Sprintf("%.0f MB, after a third of the uploads %.0f MB", megabytes(r.FunctionMemory), megabytes(r.FunctionMemoryEarly)))
	line("doubled jobs", r.Doubled)
	line("lost uploads", r.Lost)
	line("wrong rows", r.Wrong)
	line("forged callbacks accepted", r.Forged)
	line("rows wrongly open or closed", r.Open)
	line("unfinished", r.Unfinished)
	line("reads of sweep beside its index", r.SweepScans)
	_ = w.Flush()
	for _, m := range r.Mistakes {
		fmt.Fprintln(out, m)
	}
	for _, k := range r.missing() {
		fmt.Fprintf(out, "NO FAULT OF THIS KIND HAPPENED: %s. Use more uploads or another seed.\n", k)
	}
	if r.OK() {
		fmt.Fprintln(out, "OK")
	} else {
		fmt.Fprintln(out, "FAILED")
	}
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }
