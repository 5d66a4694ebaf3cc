package eventbridge

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"time"

	smithyrand "github.com/aws/smithy-go/rand"
)

// envelope is what every event has around its detail. The members stand in the
// order of the real ones.
type envelope struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     any      `json:"detail"`
}

// event is the event of that time, with an id of its own.
func (e envelope) event(at time.Time) []byte {
	e.Version, e.Time = "0", at.UTC().Format(time.RFC3339)
	e.ID, _ = smithyrand.NewUUID(rand.Reader).GetUUID() // crypto/rand never fails
	return encode(e)
}

// encode renders a value as JSON, with <, > and & as they are. It is for values
// that encoding/json cannot refuse.
func encode(value any) []byte {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(value)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}
