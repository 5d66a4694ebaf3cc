// Package env reads the environment of the functions: one loader for each,
// which reports everything that is missing or wrong by the name of its
// variable.
//
// The names are defined here and nowhere else: the Pulumi program and the local
// run set what the loaders read, and [Names] tells which those are.
package env

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
)

// Names of the variables. A reference to a secret is a name or an ARN, never
// the secret.
const (
	TableName            = "TABLE_NAME"
	WebhookURL           = "WEBHOOK_URL" // without the token
	IttybitConnectionID  = "ITTYBIT_CONNECTION_ID"
	ConnectionPlacement  = "CONNECTION_PLACEMENT"
	IttybitAPIURL        = "ITTYBIT_API_URL"
	IttybitAPIKeySecret  = "ITTYBIT_API_KEY_SECRET"
	IttybitAPIKeyParam   = "ITTYBIT_API_KEY_PARAMETER"
	CallbackKeySecret    = "CALLBACK_KEY_SECRET"
	WebhookAuth          = "WEBHOOK_AUTH"
	IttybitWebhookSecret = "ITTYBIT_WEBHOOK_SECRET"
	OutputPrefix         = "OUTPUT_PREFIX"
	DailyJobLimit        = "DAILY_JOB_LIMIT"
	ResultTTLDays        = "RESULT_TTL_DAYS"
	MetricsNamespace     = "METRICS_NAMESPACE"
	LogLevel             = "LOG_LEVEL"
	OverdueAfter         = "OVERDUE_AFTER"
	GiveUpAfter          = "GIVE_UP_AFTER"
)

// taskRoot is set by Lambda: the folder with the function's zip.
const taskRoot = "LAMBDA_TASK_ROOT"

// What is in force where a variable is not set.
const (
	// DefaultOutputPrefix is the folder of the watched bucket that dispatch
	// skips.
	DefaultOutputPrefix = "ittybit-output/"
	// DefaultOverdueAfter is when a job's callback is overdue.
	DefaultOverdueAfter = 30 * time.Minute
	// DefaultGiveUpAfter is when a job that does not end is given up.
	DefaultGiveUpAfter = 7 * 24 * time.Hour
	// DefaultNamespace is the namespace of the metrics.
	DefaultNamespace = "IttybitMedia"
)

// MinResultTTLDays is the least that rows with an end stay: longer than any
// message stays in a queue, so that a redrive still finds what it has done.
const MinResultTTLDays = 30

// Auth is how webhook knows that a callback is Ittybit's.
type Auth string

// The ways of authentication: the token in the URL that we gave Ittybit, the
// signature in its header, or both.
const (
	AuthToken     Auth = "token"
	AuthSignature Auth = "signature"
	AuthBoth      Auth = "both"
)

// Common is what every function has.
type Common struct {
	Table     string
	ResultTTL time.Duration // 0: rows stay
	Namespace string        // of the metrics
	LogLevel  slog.Level
}

// APIKey says where Ittybit's API key is: one of the two.
type APIKey struct {
	Secret    string // in Secrets Manager
	Parameter string // in Parameter Store
}

// Dispatch is dispatch's environment.
type Dispatch struct {
	Common
	Routes        media.Routes
	WebhookURL    string
	Connection    string
	Placement     media.Placement
	APIURL        string
	APIKey        APIKey
	CallbackKeys  string
	OutputPrefix  string
	DailyJobLimit int64 // 0: none
	OverdueAfter  time.Duration
}

// LoadDispatch reads dispatch's environment, and its routes from the folder of
// its zip.
func LoadDispatch(getenv func(string) string) (Dispatch, error) {
	r := reader{getenv: getenv}
	d := Dispatch{
		Common:        r.common(),
		WebhookURL:    r.url(WebhookURL, ""),
		Connection:    r.get(IttybitConnectionID),
		Placement:     oneOf(&r, ConnectionPlacement, media.PlacementOptions, media.PlacementRoot),
		APIURL:        r.url(IttybitAPIURL, ittybit.DefaultURL),
		APIKey:        r.apiKey(),
		CallbackKeys:  r.required(CallbackKeySecret),
		OutputPrefix:  r.optional(OutputPrefix, DefaultOutputPrefix),
		DailyJobLimit: r.count(DailyJobLimit),
		OverdueAfter:  r.duration(OverdueAfter, DefaultOverdueAfter),
	}
	outputs := media.Folder{Prefix: d.OutputPrefix}
	if err := outputs.Check(); err != nil {
		r.fail(OutputPrefix, err)
	}
	d.Routes = r.routes(outputs)
	return d, r.err()
}

// Webhook is webhook's environment.
type Webhook struct {
	Common
	Auth           Auth
	CallbackKeys   string
	SigningSecrets string // "" when only tokens count
}

// LoadWebhook reads webhook's environment.
func LoadWebhook(getenv func(string) string) (Webhook, error) {
	r := reader{getenv: getenv}
	w := Webhook{
		Common:         r.common(),
		Auth:           oneOf(&r, WebhookAuth, AuthToken, AuthSignature, AuthBoth),
		SigningSecrets: r.get(IttybitWebhookSecret),
	}
	if w.CallbackKeys = r.get(CallbackKeySecret); w.CallbackKeys == "" && w.Auth != AuthSignature {
		r.missing(CallbackKeySecret)
	}
	if w.SigningSecrets == "" && w.Auth != AuthToken {
		r.fail(IttybitWebhookSecret, fmt.Errorf("must name the secret with Ittybit's webhook secret, since %s is %s", WebhookAuth, w.Auth))
	}
	return w, r.err()
}

// Sweep is sweep's environment.
type Sweep struct {
	Common
	APIURL       string
	APIKey       APIKey
	OverdueAfter time.Duration
	GiveUpAfter  time.Duration
}

// LoadSweep reads sweep's environment.
func LoadSweep(getenv func(string) string) (Sweep, error) {
	r := reader{getenv: getenv}
	s := Sweep{
		Common:       r.common(),
		APIURL:       r.url(IttybitAPIURL, ittybit.DefaultURL),
		APIKey:       r.apiKey(),
		OverdueAfter: r.duration(OverdueAfter, DefaultOverdueAfter),
		GiveUpAfter:  r.duration(GiveUpAfter, DefaultGiveUpAfter),
	}
	return s, r.err()
}

// Names are the variables that a loader reads, in its order.
func Names[T any](load func(func(string) string) (T, error)) []string {
	var names []string
	_, _ = load(func(name string) string { // an empty environment is always wrong: only the names count
		if name != taskRoot {
			names = append(names, name)
		}
		return ""
	})
	return names
}

// reader collects everything that is wrong, to report it at once.
type reader struct {
	getenv func(string) string
	errs   []error
}

func (r *reader) err() error { return errors.Join(r.errs...) }

func (r *reader) fail(name string, err error) {
	r.errs = append(r.errs, fmt.Errorf("environment variable %s: %w", name, err))
}

func (r *reader) missing(name string) {
	r.fail(name, errors.New("is not set"))
}

func (r *reader) get(name string) string { return strings.TrimSpace(r.getenv(name)) }

func (r *reader) required(name string) string {
	value := r.get(name)
	if value == "" {
		r.missing(name)
	}
	return value
}

func (r *reader) optional(name, otherwise string) string {
	if value := r.get(name); value != "" {
		return value
	}
	return otherwise
}

func (r *reader) common() Common {
	c := Common{
		Table:     r.required(TableName),
		Namespace: r.optional(MetricsNamespace, DefaultNamespace),
	}
	days := r.count(ResultTTLDays)
	if days != 0 && days < MinResultTTLDays {
		r.fail(ResultTTLDays, fmt.Errorf("%d is neither 0 (rows stay) nor at least %d", days, MinResultTTLDays))
	}
	c.ResultTTL = time.Duration(days) * 24 * time.Hour
	if level := r.get(LogLevel); level != "" {
		if err := c.LogLevel.UnmarshalText([]byte(level)); err != nil {
			r.fail(LogLevel, fmt.Errorf("%q is not one of debug, info, warn, error", level))
		}
	}
	return c
}

func (r *reader) apiKey() APIKey {
	k := APIKey{Secret: r.get(IttybitAPIKeySecret), Parameter: r.get(IttybitAPIKeyParam)}
	switch {
	case k.Secret == "" && k.Parameter == "":
		r.fail(IttybitAPIKeySecret, fmt.Errorf("is not set, nor is %s; one must name where Ittybit's API key is", IttybitAPIKeyParam))
	case k.Secret != "" && k.Parameter != "":
		r.fail(IttybitAPIKeySecret, fmt.Errorf("is set and so is %s; only one can be", IttybitAPIKeyParam))
	}
	return k
}

func (r *reader) url(name, otherwise string) string {
	value := r.get(name)
	if value == "" {
		if value = otherwise; value == "" {
			r.missing(name)
			return ""
		}
	}
	if err := ittybit.CheckURL(value); err != nil {
		r.fail(name, err)
	}
	return value
}

func (r *reader) count(name string) int64 {
	value := r.get(name)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		r.fail(name, fmt.Errorf("%q is not a whole number, 0 or more", value))
	}
	return n
}

func (r *reader) duration(name string, otherwise time.Duration) time.Duration {
	value := r.get(name)
	if value == "" {
		return otherwise
	}
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		r.fail(name, fmt.Errorf(`%q is not a time above 0 such as "30m" or "168h"`, value))
	}
	return d
}

// oneOf reads a word; the first one is the default.
func oneOf[T ~string](r *reader, name string, words ...T) T {
	value := T(r.get(name))
	if value == "" {
		return words[0]
	}
	var all []string
	for _, word := range words {
		if word == value {
			return value
		}
		all = append(all, string(word))
	}
	r.fail(name, fmt.Errorf("%q is not one of %s", value, strings.Join(all, ", ")))
	return words[0]
}

func (r *reader) routes(outputs media.Folder) media.Routes {
	root := r.required(taskRoot)
	if root == "" {
		return nil
	}
	path := filepath.Join(root, media.RoutesFile)
	data, err := os.ReadFile(path)
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("the routes cannot be read: %w; they belong beside the binary in its zip", err))
		return nil
	}
	routes, err := media.ParseRoutesFile(data, outputs)
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %w", path, err))
	}
	return routes
}
