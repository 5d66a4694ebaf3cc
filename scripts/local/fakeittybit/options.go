package fakeittybit

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"time"

	"ittybit-media/handlers/media"
)

// Options say how the fake works and how it misbehaves. The zero value of
// each is what the reference says, or harmless. Hooks may be called by several
// goroutines at once.
type Options struct {
	Keys    []string // the API keys that are valid; see [Server.SetKeys]
	BaseURL string   // where the fake is reached, without a slash at the end; "": as the request that created the job reached it
	Clock   Clock    // nil: real time. It times jobs, callback retries and the life of idempotency keys, never the network

	Storage Storage       // serves s3:// inputs and outputs; without it such jobs fail
	Dir     string        // keeps the outputs that do not go to S3; "": a temporary folder that Close removes
	FFmpeg  string        // path of ffmpeg; "": an output is a copy of its input
	Workers int           // jobs worked on at once; 0: one for each CPU
	Time    time.Duration // bounds the work on one job, in real time; 0: 10 minutes
	Instant bool          // no input is read and no output made: a job has succeeded at once, with a URL behind which nothing is
	Notice  func(string)  // is told, once each, what the person at the terminal should know

	Shape             Shape                  // of callbacks
	SigningSecret     string                 // signs callbacks; "": they are not signed
	Transport         http.RoundTripper      // carries callbacks, anywhere; nil: the network, and only to loopback
	CallbackAttempts  int                    // 0: 8
	CallbackBackoff   time.Duration          // before the first retry, doubled for each one after it; 0: 1 s
	NonFinalCallbacks bool                   // call back when a job is processing, too; which callback arrives first is open
	Deliveries        func(j Job) []Delivery // how often and when a callback is sent; nil: once, at once
	DropQuery         bool                   // callbacks go to the webhook_url without its query string

	Latency           time.Duration                // real time that each POST takes at least
	Fault             func(r Request) Fault        // what goes wrong with a request
	Outcome           func(j Job) Outcome          // how a job ends
	InFlight          InFlight                     // what a request gets while the first one with its key is not answered
	ReplayFailures    bool                         // a first answer of 5xx is the answer to repetitions, too
	ReplayRefusals    bool                         // so is one of 4xx
	ListIgnoresInput  bool                         // GET /jobs does not filter by input
	ListOmitsMetadata bool                         // GET /jobs leaves metadata empty
	Record            func(r Request, body []byte) // sees each POST's body; it holds the callback token
	Changed           func(j Job)                  // sees each job whenever it has become something else
	Called            func(c Called)               // sees each attempt to deliver a callback
	Connection        Connection                   // what jobs name as connection
	ReadKey           func(key string) string      // which key an s3:// input is taken for; nil: the one that stands there
}

// Connection is the only one that there is. The zero value takes whatever jobs
// name, as if it were not there.
type Connection struct {
	ID     string
	At     media.Placement // where jobs name it
	Strict bool            // in the other place, connection_id is an unknown field and refused
}

// Clock tells the time and calls those who wait for it.
type Clock interface {
	// Now returns the time.
	Now() time.Time
	// AfterFunc calls f, which is quick, once the clock has moved on by d.
	AfterFunc(d time.Duration, f func())
}

// Storage is S3 as jobs see it.
type Storage interface {
	// Open gives the path of a local file that has the object's bytes, to be
	// read until release is called. The error of a missing object wraps
	// fs.ErrNotExist.
	Open(ctx context.Context, bucket, key string) (path string, release func(), err error)
	// Put stores the file as the object. An error fails the job.
	Put(ctx context.Context, bucket, key, path string) error
}

// InFlight says what a request gets whose idempotency key another request has
// that is not answered yet. The reference does not say.
type InFlight int

// The likely ways, and the one to fear.
const (
	WaitInFlight   InFlight = iota // wait, then replay the answer
	RefuseInFlight                 // 409
	RaceInFlight                   // it is as good as the first
)

const (
	defaultAttempts = 8
	defaultBackoff  = time.Second
	defaultTime     = 10 * time.Minute
)

func (o *Options) complete() error {
	if o.CallbackAttempts < 0 || o.CallbackBackoff < 0 || o.Workers < 0 || o.Latency < 0 {
		return errors.New("fakeittybit: attempts, backoff, workers and latency must not be negative")
	}
	orDefault(&o.Clock, Clock(realClock{}))
	orDefault(&o.Workers, runtime.NumCPU())
	orDefault(&o.CallbackAttempts, defaultAttempts)
	orDefault(&o.CallbackBackoff, defaultBackoff)
	orDefault(&o.Time, defaultTime)
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	return nil
}

func orDefault[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
}

type realClock struct{}

func (realClock) Now() time.Time                      { return time.Now() }
func (realClock) AfterFunc(d time.Duration, f func()) { time.AfterFunc(d, f) }
