package chaos

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

// Options say what to run.
type Options struct {
	Binaries map[string]string // handler → path, as bundle.Compile returns them
	Uploads  int
	Seed     uint64
	Progress func(string) // is told where the run is; nil: nobody is
	// Frequency multiplies how often faults happen; 0: 1. For runs of few uploads.
	Frequency float64

	tamper func(*simulation) // breaks the chaotic run, in tests
}

const (
	// concurrency is how many processes each function may have: most of the
	// time they wait, for the pauses between their own retries.
	concurrency = 16
	// uploadsAtOnce bounds the uploads that are sent at a time.
	uploadsAtOnce = 8
	// patience is how long the clock waits, by the wall clock, for everything to
	// be quiet; then it moves on by no more than a step, as a slow function
	// must not see its time pass.
	patience = 300 * time.Millisecond
	step     = time.Minute
)

// Run makes the reference run and the chaotic one, and compares them. Its error
// says why there is no report; what is wrong with the pipeline stands in the
// report.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	begun := time.Now()
	config, err := config()
	if err != nil {
		return Report{}, err
	}
	all := uploads(o.Uploads)
	o.Progress("the reference run, without faults")
	expected, err := reference(o, config, all).run(ctx, o.Progress)
	if err != nil {
		return Report{}, fmt.Errorf("the reference run: %w", err)
	}
	if len(expected.unfinished) > 0 {
		return Report{}, fmt.Errorf("the reference run does not end: %s", strings.Join(expected.unfinished, ", "))
	}
	debug.FreeOSMemory() // the report tells of one run, not of two
	o.Progress("the chaotic run")
	chaotic := chaotic(o, config, all, expected.rows)
	if o.tamper != nil {
		o.tamper(&chaotic)
	}
	found, err := chaotic.run(ctx, o.Progress)
	if err != nil {
		return Report{}, fmt.Errorf("the chaotic run: %w", err)
	}
	r := compare(expected.rows, found)
	r.Seed, r.Uploads = o.Seed, o.Uploads
	r.count(chaotic.injector)
	r.RealSeconds = time.Since(begun).Seconds()
	r.BaseMemory, r.PeakMemory = expected.base, usage(os.Getpid()).PeakMemory
	return r, nil
}

// simulation says what one run of the pipeline is made of.
type simulation struct {
	uploads  []upload
	options  pipeline.Options // with a clock of its own
	injector *injector        // nil: the reference
	expected map[rowID]string // of the reference
}

// reference is the run in which nothing goes wrong.
func reference(o Options, config stack.Config, all []upload) simulation {
	return simulation{uploads: all, options: pipeline.Options{
		Stack: config, Binaries: o.Binaries, Concurrency: concurrency, Clock: clock.New(),
		Ittybit: func(i *fakeittybit.Options) {
			i.Outcome = func(j fakeittybit.Job) fakeittybit.Outcome { return ending(j.Input) }
			i.Fault = func(r fakeittybit.Request) fakeittybit.Fault {
				f, _ := refusal(r)
				return f
			}
			i.Shape = fakeittybit.Bare
		},
	}}
}

// chaotic is the run with the faults.
func chaotic(o Options, config stack.Config, all []upload, expected map[rowID]string) simulation {
	c := clock.New()
	i := newInjector(plan{o.Seed, cmp.Or(o.Frequency, 1)}, all, c)
	return simulation{uploads: all, injector: i, expected: expected, options: pipeline.Options{
		Stack: config, Binaries: o.Binaries, Concurrency: concurrency, Clock: c,
		Deliveries: i.events,
		Ittybit: func(o *fakeittybit.Options) {
			o.Outcome, o.Fault, o.Deliveries = i.outcome, i.fault, i.deliveries
			o.NonFinalCallbacks = true
		},
	}}
}
