// Package stack is the configuration of one environment: what stands in its
// stack file, typed, with defaults, and checked as a whole. The Pulumi program
// and the local run both read it, so it imports no Pulumi package.
//
// Every key is declared once, in a table: [Parse], the config block of
// Pulumi.yaml and the reference in README.md all come from there. After a
// change of the table, go test ./infra/stack -update rewrites the two.
package stack

import (
	"log/slog"
	"time"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
)

// Namespace is the namespace of the configuration's keys, and the name of the
// Pulumi project: that is the one to which keys without a namespace belong.
const Namespace = "ittybit-media"

// Config is the configuration of one stack.
type Config struct {
	BucketName          string // "": one is made
	ManageNotifications bool   // true for a bucket that is made
	Routes              media.Routes
	ConnectionID        string // "": Ittybit's default connection
	ConnectionPlacement media.Placement
	IttybitAPIURL       string
	APIKeySecret        string // name or ARN of an existing secret; neither this nor the parameter: an empty secret is made
	APIKeyParameter     string // name or ARN of an existing SecureString parameter
	SecretKMSKeyARN     string // "": the services' default keys
	WebhookAuth         env.Auth
	WebhookSecret       string // name or ARN
	CallbackKeyVersion  int
	OutputPrefix        string
	DailyJobLimit       int64 // 0: none
	SweepInterval       time.Duration
	OverdueAfter        time.Duration
	GiveUpAfter         time.Duration
	ResultTTLDays       int64 // 0: rows stay
	LogRetentionDays    int
	LogLevel            slog.Level
	MemoryMB            int
	Architecture        string // arm64, x86_64: Lambda's names
	ReservedConcurrency int    // of dispatch; 0: none
	WebhookBurst        int    // requests
	WebhookRate         int    // requests a second
	Tracing             bool
	Alarms              bool
	Dashboard           bool
	ResultEvents        bool
	ResultEventBus      string // name or ARN; "": the account's default bus
	AlarmEmail          string // "": alarms tell nobody
	Protect             bool
	Tags                map[string]string // without the stack's own two
}

// Parse reads the values of the namespace's keys, in either form: as YAML has
// them ([ReadFile]), or as Pulumi hands them to a program, where a scalar is
// its text and a list or map is JSON. An empty text means that the key is not
// set.
//
// The error is a [media.Problems] with every mistake; the warnings are what may
// be one. With an error too, what is right in the values is in the Config.
func Parse(values map[string]any) (Config, media.Problems, error) {
	r := reader{values: values, given: map[string]bool{}, wrong: map[string]bool{}}
	var c Config
	for _, k := range keys {
		if s, ok := k.kind.(scalar); ok {
			r.scalar(&c, k, s)
		}
	}
	r.together(&c)
	for _, k := range keys { // last: what is right in routes depends on scalars
		if s, ok := k.kind.(structure); ok {
			r.structure(&c, k, s)
		}
	}
	r.unknown()
	return c, r.warnings, r.mistakes.Err()
}
