package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/procstat"
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
	reference := simulation{uploads: all, options: pipeline.Options{
		Stack: config, Binaries: o.Binaries, Concurrency: concurrency,
		Ittybit: func(i *fakeittybit.Options) {
			i.Outcome = func(j fakeittybit.Job) fakeittybit.Outcome { return ending(j.Input) }
			i.Fault = func(r fakeittybit.Request) fakeittybit.Fault {
				f, _ := refusal(r)
				return f
			}
			i.Shape = fakeittybit.Bare
		},
	}}
	if err := reference.run(ctx, o.Progress); err != nil {
		return Report{}, fmt.Errorf("the reference run: %w", err)
	}
	if len(reference.unfinished) > 0 {
		return Report{}, fmt.Errorf("the reference run does not end: %s", strings.Join(reference.unfinished, ", "))
	}

	debug.FreeOSMemory() // the report tells of one run, not of two
	o.Progress("the chaotic run")
	i := newInjector(plan{o.Seed, cmp.Or(o.Frequency, 1)}, all)
	chaotic := simulation{uploads: all, injector: i, expected: reference.rows, options: pipeline.Options{
		Stack: config, Binaries: o.Binaries, Concurrency: concurrency,
		Deliveries: i.events,
		Ittybit: func(o *fakeittybit.Options) {
			o.Outcome, o.Fault, o.Deliveries = i.outcome, i.fault, i.deliveries
			o.NonFinalCallbacks = true
		},
	}}
	if o.tamper != nil {
		o.tamper(&chaotic)
	}
	if err := chaotic.run(ctx, o.Progress); err != nil {
		return Report{}, fmt.Errorf("the chaotic run: %w", err)
	}
	r := compare(chaotic)
	r.Seed, r.Uploads = o.Seed, o.Uploads
	r.count(i)
	r.RealSeconds = time.Since(begun).Seconds()
	r.BaseMemory, r.PeakMemory = reference.base, usage(os.Getpid()).PeakMemory
	return r, nil
}

// simulation is one run of the pipeline.
type simulation struct {
	uploads  []upload
	options  pipeline.Options
	injector *injector // nil: the reference
	expected map[rowID]string

	pipeline *pipeline.Pipeline
	clock    *clock.Clock
	began    time.Time
	rotated  bool

	// What came out.
	took        time.Duration // simulated
	rows        map[rowID]string
	states      map[string]int
	jobs        int
	doubled     []string
	opened      map[string]bool // rows in or out of sweep's index that should not be
	seed        maphash.Seed
	ranks       map[uint64]int8 // of the rows, by a hash of their keys: there are many
	back        map[string]bool // rows whose rank fell
	unfinished  []string        // what was not over in the end
	deadLetters int
	base        int64 // bytes, before the first upload
	early, late int64 // bytes of the largest process of a function, after a third of the uploads and in the end
}

func (s *simulation) run(ctx context.Context, progress func(string)) (err error) {
	s.clock, s.opened = clock.New(), map[string]bool{}
	s.seed, s.ranks, s.back = maphash.MakeSeed(), map[uint64]int8{}, map[string]bool{}
	s.began = s.clock.Now()
	s.options.Clock = s.clock
	behave := s.options.Ittybit
	s.options.Ittybit = func(o *fakeittybit.Options) {
		o.Instant = true // no media is read or made
		o.BaseURL = "https://ittybit.test"
		behave(o)
	}
	if i := s.injector; i != nil {
		i.clock, i.began = s.clock, s.began
	}
	if s.pipeline, err = pipeline.Start(ctx, s.options); err != nil {
		return err
	}
	defer s.pipeline.Close()
	s.base = usage(os.Getpid()).Memory
	if i := s.injector; i != nil {
		if err := i.attach(s.pipeline); err != nil {
			return err
		}
		defer i.client.CloseIdleConnections()
	}
	if err := s.drive(ctx, progress); err != nil {
		return err
	}
	s.took = s.clock.Now().Sub(s.began)
	s.late = s.functionMemory()
	return s.collect(ctx)
}

// drive sends the uploads and moves the clock until everything is over.
func (s *simulation) drive(ctx context.Context, progress func(string)) error {
	sent, wave := 0, 0
	for {
		quiet, err := s.quiet(ctx)
		if err != nil {
			return err
		}
		open := s.checkRows()
		now := s.clock.Now().Sub(s.began)
		if wave < len(waves) && now >= s.due(wave) {
			next := len(s.uploads)
			if wave < len(waves)-1 {
				next = min(next, sent+int(waves[wave].part*float64(len(s.uploads))))
			}
			progress(fmt.Sprintf("%v: uploads %d to %d", now.Round(time.Minute), sent, next))
			if err := s.send(ctx, s.uploads[sent:next]); err != nil {
				return err
			}
			if sent = next; s.early == 0 && sent >= len(s.uploads)/3 {
				s.early = s.functionMemory()
			}
			wave++
			continue
		}
		switch {
		case quiet && wave == len(waves) && open == 0 && s.pipeline.Pending() == 0:
			return nil
		case now > limit:
			s.unfinished = append(s.unfinished, fmt.Sprintf("%d open rows and %d events, messages, jobs or callbacks after %v", open, s.pipeline.Pending(), limit))
			return nil
		}
		if s.injector != nil && !s.rotated && now >= rotation {
			s.rotated = true
			s.injector.count(KeyRotated)
			s.pipeline.RotateAPIKey()
		}
		s.advance(quiet, now, wave)
	}
}

// due is when a wave of uploads comes. Nothing goes by the time in the
// reference.
func (s *simulation) due(wave int) time.Duration {
	if s.injector == nil {
		return 0
	}
	return waves[wave].at
}

// advance moves the clock to the next thing that happens. Whole steps put what
// happens at almost the same time together.
func (s *simulation) advance(quiet bool, now time.Duration, wave int) {
	target := now + step
	if quiet {
		if timer, ok := s.clock.Next(); ok {
			target = timer.Sub(s.began)
		}
		if wave < len(waves) {
			target = min(target, s.due(wave))
		}
		target = (target + step - 1).Truncate(step)
	}
	s.clock.Advance(max(target-now, 0))
}

func (s *simulation) quiet(ctx context.Context) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch err := s.pipeline.Quiet(limited); {
	case err == nil:
		return true, nil
	case limited.Err() != nil:
		return false, ctx.Err()
	default:
		return false, err
	}
}

// send puts the objects into the bucket, several at once.
func (s *simulation) send(ctx context.Context, all []upload) error {
	client := s.pipeline.S3()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(uploadsAtOnce)
	for _, u := range all {
		g.Go(func() error {
			_, err := client.PutObject(ctx, &s3.PutObjectInput{
				Bucket: aws.String(s.pipeline.Bucket), Key: aws.String(u.key), Body: strings.NewReader(u.body),
			})
			if err != nil {
				return fmt.Errorf("upload %d: %w", u.number, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// attach begins to misbehave.
func (i *injector) attach(p *pipeline.Pipeline) (err error) {
	i.pipeline = p
	i.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: concurrency}}
	if i.keys, err = media.NewCallbackKeys(p.CallbackKeys); err != nil {
		return errors.New("the callback keys of the run are unusable")
	}
	p.AWS.Intercept(i.intercept)
	return nil
}

// functionMemory is the size of the largest process of a function, in bytes.
func (s *simulation) functionMemory() int64 {
	var most int64
	for _, pids := range [][]int{s.pipeline.Dispatch.PIDs(), s.pipeline.Webhook.PIDs(), s.pipeline.Sweep.PIDs()} {
		for _, pid := range pids {
			most = max(most, usage(pid).PeakMemory)
		}
	}
	return most
}

// usage is what a process uses; zeros where the system does not tell, and for a
// process that is gone.
func usage(pid int) procstat.Usage {
	u, _ := procstat.Read(pid)
	return u
}
