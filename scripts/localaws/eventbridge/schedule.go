package eventbridge

import (
	"crypto/rand"
	"time"

	smithyrand "github.com/aws/smithy-go/rand"
)

// Schedule is what the event of a schedule tells.
type Schedule struct {
	Account, Region string
	ARN             string // of the rule
	Time            time.Time
}

type scheduled struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     struct{} `json:"detail"`
}

// Scheduled returns the event that a rule with a schedule sends to its target
// (Amazon EventBridge User Guide, "Creating a rule that runs on a schedule").
func Scheduled(s Schedule) []byte {
	id, _ := smithyrand.NewUUID(rand.Reader).GetUUID() // crypto/rand never fails
	return encode(scheduled{
		Version:    "0",
		ID:         id,
		DetailType: "Scheduled Event",
		Source:     "aws.events",
		Account:    s.Account,
		Time:       s.Time.UTC().Format(time.RFC3339),
		Region:     s.Region,
		Resources:  []string{s.ARN},
	})
}
