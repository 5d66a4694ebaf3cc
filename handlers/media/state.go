package media

// State is what is known of a job. The zero value is [Queued].
type State int

// The states of a job. A job only ever moves to a state of a higher rank, so
// callbacks, sweep and dispatch may report in any order and any number of
// times.
const (
	// Queued: Ittybit accepted the job.
	Queued State = iota
	// Processing: Ittybit works on the job.
	Processing
	// InferredFailed: we gave the job up without a word from Ittybit; whatever
	// Ittybit reports later replaces it.
	InferredFailed
	// Failed: Ittybit says that the job failed.
	Failed
	// Cancelled: Ittybit says that the job was cancelled.
	Cancelled
	// Succeeded: the output is there.
	Succeeded
)

// Rejected is the word in a rejected job's row: no job was ever made, so it is
// no State of one.
const Rejected = "rejected"

var states = [...]struct {
	word string
	rank int
}{
	Queued:         {"queued", 0},
	Processing:     {"processing", 1},
	InferredFailed: {"failed", 2},
	Failed:         {"failed", 3},
	Cancelled:      {"cancelled", 3},
	Succeeded:      {"succeeded", 4},
}

// String is the word for s in the table, in logs and in metrics. An inferred
// failure reads "failed": only its rank tells it apart.
func (s State) String() string { return states[s].word }

// Rank orders the states: a state replaces another one if its rank is higher.
func (s State) Rank() int { return states[s].rank }

// Final reports whether the job is over, as far as is known.
func (s State) Final() bool { return s >= InferredFailed }
