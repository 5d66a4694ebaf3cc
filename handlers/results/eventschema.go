package results

import _ "embed"

// EventSchema is the published JSON Schema of result events, as EventBridge
// delivers them.
//
//go:embed events.schema.json
var EventSchema string
