package media

import "time"

// Result is what Ittybit said of one job at one moment, in a callback or in an
// answer of its API. What Ittybit left out is the zero value.
type Result struct {
	JobID   string
	Status  string // Ittybit's own word, as it came
	State   State
	Kind    string
	Input   string
	Outputs []Output // the main one first
	// OutputsOmitted are the outputs that Ittybit named and Outputs has not.
	OutputsOmitted int
	Error          string // redacted; "" when there is none
	DurationMS     *int64
	Metadata       map[string]string
	CreatedAt      time.Time
	FinishedAt     time.Time
}

// OutputURL is where the main output is, "" when there is none.
func (r Result) OutputURL() string {
	if len(r.Outputs) == 0 {
		return ""
	}
	return r.Outputs[0].URL
}

// Output is one file that a job made.
type Output struct {
	URL    string
	Kind   string
	Format string
	Width  int // pixels
	Height int // pixels
}
