// Package eventbridge is an emulator of EventBridge for the local pipeline: it
// builds the events of uploads and schedules and decides whether a pattern
// matches an event.
//
// The matcher is written here because no Go library knows EventBridge's filters
// (quamina has no suffix). It knows those of this pipeline's patterns and
// refuses the rest rather than guess.
package eventbridge
