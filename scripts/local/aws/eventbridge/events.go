package eventbridge

import (
	"encoding/json"
	"time"
)

// Entry is what somebody puts onto a bus.
type Entry struct {
	Account, Region    string
	Source, DetailType string
	Detail             json.RawMessage // an object
	Time               time.Time
}

// Custom returns the event that a bus makes of an entry. Each call makes an
// event of its own id.
func Custom(e Entry) []byte {
	return envelope{
		DetailType: e.DetailType,
		Source:     e.Source,
		Account:    e.Account,
		Region:     e.Region,
		Resources:  []string{},
		Detail:     e.Detail,
	}.event(e.Time)
}

// Schedule is what the event of a schedule tells.
type Schedule struct {
	Account, Region string
	ARN             string // of the rule
	Time            time.Time
}

// Scheduled returns the event that a rule with a schedule sends to its target
// (Amazon EventBridge User Guide, "Creating a rule that runs on a schedule").
func Scheduled(s Schedule) []byte {
	return envelope{
		DetailType: "Scheduled Event",
		Source:     "aws.events",
		Account:    s.Account,
		Region:     s.Region,
		Resources:  []string{s.ARN},
		Detail:     struct{}{},
	}.event(s.Time)
}
