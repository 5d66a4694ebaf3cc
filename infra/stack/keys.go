package stack

import (
	"math"
	"time"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
)

// key is one key of the configuration.
type key struct {
	name     string
	standard string // the default, as a stack file would have it
	empty    string // what holds without it, where there is no default to write down
	kind     kind
	meaning  string
}

// longest is the most time after which a job may be given up: one that is open
// for 90 days will not end, and sweep asks about it four times a day until
// then.
const longest = 90 * 24 * time.Hour

// mostTTLDays keeps a row's time within what a [time.Duration] holds, which is
// 292 years.
const mostTTLDays = 36500

// retentionDays are those that CloudWatch takes (PutRetentionPolicy, Amazon
// CloudWatch Logs API Reference).
var retentionDays = []int64{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// keys are all keys, in the order of the reference.
var keys = []key{
	{
		name: "bucketName", empty: "a bucket is made",
		kind:    text{"the name of an S3 bucket", checkBucketName, func(c *Config, s string) { c.BucketName = s }},
		meaning: "the existing bucket that is watched",
	},
	{
		name: "manageNotifications", empty: "true for a bucket that is made; for an existing one it must be said",
		kind:    boolean(func(c *Config, on bool) { c.ManageNotifications = on }),
		meaning: "true: this stack owns the bucket's whole notification configuration and replaces what others set; false: the stack leaves it alone, and EventBridge must be turned on for the bucket otherwise",
	},
	{
		name: "routes", empty: "the suffixes .mov, .mp4, .mkv and .webm, under every prefix, get one video job",
		kind:    routes{},
		meaning: "which uploads get which jobs: the first route whose prefix and suffix fit has the upload",
	},
	{
		name: "connectionId", empty: "Ittybit's default connection",
		kind:    text{"a text", nil, func(c *Config, s string) { c.ConnectionID = s }},
		meaning: "Ittybit's connection to the bucket",
	},
	{
		name: "connectionPlacement", standard: string(media.PlacementOptions),
		kind: word{
			[]string{string(media.PlacementOptions), string(media.PlacementRoot)},
			func(c *Config, s string) { c.ConnectionPlacement = media.Placement(s) },
		},
		meaning: "where a job request names the connection; root is for the older API",
	},
	{
		name: "ittybitApiUrl", standard: ittybit.DefaultURL,
		kind:    text{"an https URL, or http on loopback", ittybit.CheckURL, func(c *Config, s string) { c.IttybitAPIURL = s }},
		meaning: "where Ittybit's API is",
	},
	{
		name: "ittybitApiKeySecret", empty: "an empty secret is made, unless ittybitApiKeyParameter is set",
		kind:    text{"the name or complete ARN of a secret in Secrets Manager", checkSecret, func(c *Config, s string) { c.APIKeySecret = s }},
		meaning: "the existing secret that has Ittybit's API key",
	},
	{
		name: "ittybitApiKeyParameter", empty: "an empty secret is made, unless ittybitApiKeySecret is set",
		kind:    text{"the name or ARN of a SecureString parameter in Parameter Store", checkParameter, func(c *Config, s string) { c.APIKeyParameter = s }},
		meaning: "the existing parameter that has Ittybit's API key",
	},
	{
		name: "secretKmsKeyArn", empty: "the services' default keys",
		kind:    text{"the ARN of a KMS key", checkKMSKey, func(c *Config, s string) { c.SecretKMSKeyARN = s }},
		meaning: "the customer managed key that existing secrets or parameters are encrypted with",
	},
	{
		name: "webhookAuth", standard: string(env.AuthToken),
		kind: word{
			[]string{string(env.AuthToken), string(env.AuthSignature), string(env.AuthBoth)},
			func(c *Config, s string) { c.WebhookAuth = env.Auth(s) },
		},
		meaning: "how webhook knows that a callback is Ittybit's: by the token in its URL, its signature, or both; signatures need ittybitWebhookSecret",
	},
	{
		name: "ittybitWebhookSecret", empty: "none",
		kind:    text{"the name or complete ARN of a secret in Secrets Manager", checkSecret, func(c *Config, s string) { c.WebhookSecret = s }},
		meaning: "the existing secret that has Ittybit's webhook secret",
	},
	{
		name: "callbackKeyVersion", standard: "1",
		kind:    number{min: 1, max: 1000, put: func(c *Config, n int64) { c.CallbackKeyVersion = int(n) }},
		meaning: "raise it by one to rotate the key of the callback tokens: the new key signs, the one before stays valid",
	},
	{
		name: "outputPrefix", standard: env.DefaultOutputPrefix,
		kind: text{
			"a folder that ends in a slash",
			func(s string) error { return media.Folder{Prefix: s}.Check() },
			func(c *Config, s string) { c.OutputPrefix = s },
		},
		meaning: "the folder of the watched bucket for outputs; nothing in it is dispatched; before you change it, read \"Another output folder\" in OPERATIONS.md",
	},
	{
		name: "dailyJobLimit", standard: "1000",
		kind:    number{max: math.MaxInt64, put: func(c *Config, n int64) { c.DailyJobLimit = n }},
		meaning: "new jobs a day (UTC), after which uploads wait in the retry queue; at least the jobs of the route with the most; 0: no limit",
	},
	{
		name: "sweepInterval", standard: "15m",
		kind:    duration{min: time.Minute, max: 24 * time.Hour, wholeMinutes: true, put: func(c *Config, d time.Duration) { c.SweepInterval = d }},
		meaning: "how often sweep looks for overdue jobs",
	},
	{
		name: "overdueAfter", standard: short(env.DefaultOverdueAfter),
		kind:    duration{min: time.Minute, max: longest, put: func(c *Config, d time.Duration) { c.OverdueAfter = d }},
		meaning: "when a job without a callback is overdue",
	},
	{
		name: "giveUpAfter", standard: "168h",
		kind:    duration{min: time.Minute, max: longest, put: func(c *Config, d time.Duration) { c.GiveUpAfter = d }},
		meaning: "when a job that is still open counts as failed; longer than overdueAfter",
	},
	{
		name: "resultTtlDays", standard: "0",
		kind:    number{zero: true, min: env.MinResultTTLDays, max: mostTTLDays, put: func(c *Config, n int64) { c.ResultTTLDays = n }},
		meaning: "days from a job's end until its row is deleted; 0: rows stay",
	},
	{
		name: "logRetentionDays", standard: "7",
		kind:    number{only: retentionDays, put: func(c *Config, n int64) { c.LogRetentionDays = int(n) }},
		meaning: "days until log lines are deleted",
	},
	{
		name: "logLevel", standard: "info",
		kind: word{
			[]string{"debug", "info", "warn", "error"},
			func(c *Config, s string) { _ = c.LogLevel.UnmarshalText([]byte(s)) }, // it knows all four
		},
		meaning: "the least level that is logged",
	},
	{
		name: "memoryMb", standard: "256",
		// 3,008 is what a young account may have ("Lambda quotas", AWS Lambda
		// Developer Guide).
		kind:    number{min: 128, max: 3008, put: func(c *Config, n int64) { c.MemoryMB = int(n) }},
		meaning: "memory of each function in MB; its share of a CPU grows with it",
	},
	{
		name: "architecture", standard: "arm64",
		kind:    word{[]string{"arm64", "x86_64"}, func(c *Config, s string) { c.Architecture = s }},
		meaning: "the processors that the functions run on",
	},
	{
		name: "reservedConcurrency", standard: "0",
		// The retry queue may take media.RetryConcurrency: with no more, its
		// messages would be throttled into the dead letters.
		kind:    number{zero: true, min: media.RetryConcurrency + 1, max: math.MaxInt32, put: func(c *Config, n int64) { c.ReservedConcurrency = int(n) }},
		meaning: "how many invocations of dispatch are reserved, and are the most at once; 0: no reservation",
	},
	{
		name: "webhookBurst", standard: "200",
		// Up to the account's default; 0 would refuse every request ("Amazon API
		// Gateway quotas", API Gateway Developer Guide).
		kind:    number{min: 1, max: 5000, put: func(c *Config, n int64) { c.WebhookBurst = int(n) }},
		meaning: "callbacks that the API takes at once",
	},
	{
		name: "webhookRate", standard: "100",
		kind:    number{min: 1, max: 10000, put: func(c *Config, n int64) { c.WebhookRate = int(n) }},
		meaning: "callbacks a second that the API takes for long",
	},
	{
		name: "tracing", standard: "false",
		kind:    boolean(func(c *Config, on bool) { c.Tracing = on }),
		meaning: "trace the functions with X-Ray",
	},
	{
		name: "alarms", standard: "false",
		kind:    boolean(func(c *Config, on bool) { c.Alarms = on }),
		meaning: "make the alarms; OPERATIONS.md has what to do for each",
	},
	{
		name: "dashboard", standard: "false",
		kind:    boolean(func(c *Config, on bool) { c.Dashboard = on }),
		meaning: "make a dashboard of the way from upload to result, and saved queries of the logs",
	},
	{
		name: "resultEvents", standard: "false",
		kind:    boolean(func(c *Config, on bool) { c.ResultEvents = on }),
		meaning: "send an event for each final result",
	},
	{
		name: "resultEventBus", empty: "the account's default bus",
		kind:    text{"the name or ARN of an event bus in the stack's account and region", checkEventBus, func(c *Config, s string) { c.ResultEventBus = s }},
		meaning: "the existing bus that result events are sent to; it needs resultEvents",
	},
	{
		name: "alarmEmail", empty: "alarms tell nobody",
		kind:    text{"an e-mail address", checkEmail, func(c *Config, s string) { c.AlarmEmail = s }},
		meaning: "who is told of alarms, after confirming the mail that AWS sends first",
	},
	{
		name: "protect", standard: "false",
		kind:    boolean(func(c *Config, on bool) { c.Protect = on }),
		meaning: "guard the table, a bucket that is made, the API and the callback keys against deletion, and keep point-in-time backups of the table",
	},
	{
		name: "tags", empty: "none",
		kind:    tags{},
		meaning: "tags of every resource, beside " + TagProject + " and " + TagStack,
	},
}

// known are the names of all keys.
func known() []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}
