package pipeline

import "runtime/debug"

// SaveMemory makes this process keep less garbage: what a local pipeline has
// seen stays in memory, and as much again would be garbage before it is
// collected.
func SaveMemory() { debug.SetGCPercent(gcPercent) }

// gcPercent is how much garbage there may be beside what is kept.
const gcPercent = 40
