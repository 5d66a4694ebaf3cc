package pipeline

import (
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/fakeittybit"
)

// Options say what to run.
type Options struct {
	Stack    stack.Config
	Name     string            // of the stack, in its result events; "": local
	Binaries map[string]string // handler → path, as bundle.Compile returns them
	Addr     string            // of the S3 endpoint; "": a free port on loopback
	Dir      string            // an existing folder for objects and outputs; "": a temporary one, removed by Close
	Clock    *clock.Clock      // nil: the wall clock
	Observe  func(Step)        // is told what happens, by several goroutines
	// OnEvent gets the result events, one after the other, if the stack sends any.
	OnEvent func(payload []byte)
	// Versioned has the bucket keep all versions of its objects.
	Versioned bool
	// Concurrency is how many processes each function may have; 0: two for each
	// CPU.
	Concurrency int
	// Deliveries says when an upload's event reaches dispatch, by the clock: two
	// double it, different times put events out of order. Nil: once, at once.
	Deliveries func(media.Upload) []time.Duration
	// NoDestination has what dispatch fails at go nowhere, as where its role may
	// not send to the retry queue.
	NoDestination bool
	// Ittybit changes how the fake works or misbehaves, before it starts.
	Ittybit func(*fakeittybit.Options)
	// Env is set on top of the functions' environment, by function.
	Env map[string]map[string]string
}
