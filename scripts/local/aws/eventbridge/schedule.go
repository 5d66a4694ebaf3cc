package eventbridge

import "time"

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
