// Package ittybit speaks with Ittybit: a client of its API, and a decoder of
// the callbacks that it sends. Both give the domain's [media.Result], through
// the same reading of a job.
//
// Ittybit's documentation describes several generations of its API, which
// differ in the envelope, the words and the clocks. The reading is therefore
// lenient: what is missing or strange in a job becomes absent; only a job
// without an id is refused.
package ittybit
