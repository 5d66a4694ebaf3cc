package media

import "time"

// The failure path. The retry queue is the one retry mechanism: the first try a
// minute after the failure, then every quarter of an hour for three days; what
// still fails goes to the dead letters. The stack, the local run and the tests
// all take these.
const (
	RetryDelay       = time.Minute
	RetryVisibility  = 15 * time.Minute
	RetryReceives    = 288
	RetryTime        = RetryReceives * RetryVisibility
	RetryRetention   = 14 * 24 * time.Hour // counted from the first send, on both queues
	RetryBatch       = 10                  // messages for one invocation of dispatch
	RetryConcurrency = 5                   // invocations of dispatch at once
)

// The time that each function has for one invocation. The queue's visibility
// must be at least six times that of its consumer ("Creating and configuring an
// Amazon SQS event source mapping", AWS Lambda Developer Guide).
const (
	DispatchTimeout = time.Minute
	WebhookTimeout  = 10 * time.Second
	SweepTimeout    = 2 * time.Minute
)

// How fast sweep asks Ittybit, whose own limit is not published: with these a
// run gets through a thousand jobs. The parallel requests only make up for slow
// answers.
const (
	SweepRate        = 10 // jobs a second; tries again of failed requests come on top
	SweepConcurrency = 5  // jobs at once
)

// WebhookRoute is the only route of the API.
const WebhookRoute = "POST " + WebhookPath

// WebhookPath is the path of the URL that Ittybit calls.
const WebhookPath = "/webhook"
