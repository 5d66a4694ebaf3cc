package eventbridge

import (
	"crypto/rand"
	"encoding/json"
	"time"

	smithyrand "github.com/aws/smithy-go/rand"
)

// Entry is what somebody puts onto a bus.
type Entry struct {
	Account, Region    string
	Source, DetailType string
	Detail             json.RawMessage // an object
	Time               time.Time
}

type custom struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// Custom returns the event that a bus makes of an entry. Each call makes an
// event of its own id.
func Custom(e Entry) []byte {
	id, _ := smithyrand.NewUUID(rand.Reader).GetUUID() // crypto/rand never fails
	return encode(custom{
		Version:    "0",
		ID:         id,
		DetailType: e.DetailType,
		Source:     e.Source,
		Account:    e.Account,
		Time:       e.Time.UTC().Format(time.RFC3339),
		Region:     e.Region,
		Resources:  []string{},
		Detail:     e.Detail,
	})
}
