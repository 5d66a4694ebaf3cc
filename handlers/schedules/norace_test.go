//go:build !race

package schedules_test

const raceDetector = false
