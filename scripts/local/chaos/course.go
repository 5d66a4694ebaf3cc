package chaos

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"ittybit-media/scripts/internal/procstat"
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

// course is a simulation under way.
type course struct {
	simulation
	pipeline *pipeline.Pipeline
	clock    *clock.Clock
	began    time.Time
	rows     *watch
	sent     int // uploads
	wave     int // the next one
	rotated  bool
	early    int64 // see [findings]
}

// run makes the simulation and returns what came out.
func (s simulation) run(ctx context.Context, progress func(string)) (findings, error) {
	c := &course{simulation: s, clock: s.options.Clock, began: s.options.Clock.Now(), rows: newWatch()}
	s.options.Ittybit = func(o *fakeittybit.Options) {
		o.Instant = true // no media is read or made
		o.BaseURL = "https://ittybit.test"
		c.options.Ittybit(o)
	}
	var err error
	if c.pipeline, err = pipeline.Start(ctx, s.options); err != nil {
		return findings{}, err
	}
	defer c.pipeline.Close()
	base := usage(os.Getpid()).Memory
	if s.injector != nil {
		if err := s.injector.attach(c.pipeline); err != nil {
			return findings{}, err
		}
		defer s.injector.client.CloseIdleConnections()
	}
	unfinished, err := c.drive(ctx, progress)
	if err != nil {
		return findings{}, err
	}
	found := findings{
		took: c.clock.Now().Sub(c.began), unfinished: unfinished,
		opened: c.rows.opened, back: c.rows.back,
		base: base, early: c.early, late: c.functionMemory(),
	}
	return found, found.collect(ctx, c.pipeline, s.expected)
}

// drive sends the uploads and moves the clock until everything is over. It
// returns what is not over when the simulated time is.
func (c *course) drive(ctx context.Context, progress func(string)) (unfinished []string, err error) {
	for {
		quiet, err := c.quiet(ctx)
		if err != nil {
			return nil, err
		}
		open := c.rows.look(c.pipeline)
		now := c.clock.Now().Sub(c.began)
		if c.wave < len(waves) && now >= c.due() {
			if err := c.sendWave(ctx, now, progress); err != nil {
				return nil, err
			}
			continue
		}
		switch {
		case quiet && c.wave == len(waves) && open == 0 && c.pipeline.Pending() == 0:
			return nil, nil
		case now > limit:
			return []string{fmt.Sprintf("%d open rows and %d events, messages, jobs or callbacks after %v", open, c.pipeline.Pending(), limit)}, nil
		}
		if err := c.rotate(now); err != nil {
			return nil, err
		}
		c.advance(quiet, now)
	}
}

// rotate changes the API key and the callback key when it is time.
func (c *course) rotate(now time.Duration) error {
	if c.injector == nil || c.rotated || now < rotation {
		return nil
	}
	c.rotated = true
	c.injector.count(KeyRotated)
	c.pipeline.RotateAPIKey()
	c.injector.count(CallbackRotated)
	return c.injector.setKeys(c.pipeline.RotateCallbackKey())
}

// due is when the next wave of uploads comes. Nothing goes by the time in the
// reference.
func (c *course) due() time.Duration {
	if c.injector == nil {
		return 0
	}
	return waves[c.wave].at
}

// sendWave sends the next wave of uploads; the last one has all that are left.
func (c *course) sendWave(ctx context.Context, now time.Duration, progress func(string)) error {
	next := len(c.uploads)
	if c.wave < len(waves)-1 {
		next = min(next, c.sent+int(waves[c.wave].part*float64(len(c.uploads))))
	}
	progress(fmt.Sprintf("%v: uploads %d to %d", now.Round(time.Minute), c.sent, next))
	if err := c.send(ctx, c.uploads[c.sent:next]); err != nil {
		return err
	}
	c.sent = next
	c.wave++
	if c.early == 0 && c.sent >= len(c.uploads)/3 {
		c.early = c.functionMemory()
	}
	return nil
}

// advance moves the clock to the next thing that happens. Whole steps put what
// happens at almost the same time together.
func (c *course) advance(quiet bool, now time.Duration) {
	target := now + step
	if quiet {
		if timer, ok := c.clock.Next(); ok {
			target = timer.Sub(c.began)
		}
		if c.wave < len(waves) {
			target = min(target, c.due())
		}
		target = (target + step - 1).Truncate(step)
	}
	c.clock.Advance(max(target-now, 0))
}

func (c *course) quiet(ctx context.Context) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch err := c.pipeline.Quiet(limited); {
	case err == nil:
		return true, nil
	case limited.Err() != nil:
		return false, ctx.Err()
	default:
		return false, err
	}
}

// send puts the objects into the bucket, several at once.
func (c *course) send(ctx context.Context, all []upload) error {
	client := c.pipeline.S3()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(uploadsAtOnce)
	for _, u := range all {
		g.Go(func() error {
			_, err := client.PutObject(ctx, &s3.PutObjectInput{
				Bucket: aws.String(c.pipeline.Bucket), Key: aws.String(u.key), Body: strings.NewReader(u.body),
			})
			if err != nil {
				return fmt.Errorf("upload %d: %w", u.number, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// functionMemory is the size of the largest process of a function, in bytes.
func (c *course) functionMemory() int64 {
	var most int64
	for _, pids := range [][]int{c.pipeline.Dispatch.PIDs(), c.pipeline.Webhook.PIDs(), c.pipeline.Sweep.PIDs()} {
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
