package record

// Summary is what a run of sweep tells its caller.
type Summary struct {
	Jobs    map[string]int `json:"jobs"`              // by what became of them
	Behind  bool           `json:"behind"`            // overdue jobs are left
	Running bool           `json:"running,omitempty"` // another run is under way: this one did nothing
}
