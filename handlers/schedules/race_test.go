//go:build race

package schedules_test

// raceDetector: the detector makes the walks ten times as long, and the functions'
// own tests run under it.
const raceDetector = true
