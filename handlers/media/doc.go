// Package media is the domain of the pipeline: which uploads there are, which
// jobs they get, which states a job goes through and how a callback proves that
// it is ours. It knows nothing of AWS, of HTTP or of a clock; what leaves or
// enters the process is the business of the packages beside it.
package media

// Version is the version of the pipeline, as told to Ittybit in the User-Agent
// and by the commands. CHANGELOG.md says what is in it.
const Version = "0.1.0"
