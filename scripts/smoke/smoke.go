package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/operator"
)

// smoke is one run.
type smoke struct {
	options
	pace  pace
	call  *operator.Call
	stack *operator.Stack
	out   stack.Outputs
	began time.Time

	s3      *s3.Client
	db      *dynamodb.Client
	table   *results.Table
	ittybit *ittybit.Client // nil: it cannot be asked from here

	sample string // path of the file
	size   int64
	marker string // is in the key of all that the run makes, and nobody else's
	prefix string // of the keys of all that the run uploads
	key    string // of the upload
	route  media.Route
	routes media.Routes

	uploaded bool // once at least

	progress *cli.Progress
	mu       sync.Mutex
	doing    map[string]string // part → what it waits for
	noted    map[string]bool   // by what it was about
}

func run(ctx context.Context, c *operator.Call, o options, p pace) error {
	target, err := c.Connect(ctx)
	if err != nil {
		return err
	}
	s := &smoke{
		options: o, pace: p, call: c, stack: target, out: target.Outputs, began: time.Now(),
		s3: target.S3(), db: target.DynamoDB(), table: target.Table(),
		sample: filepath.Join(target.Root, "testdata", "sample.mov"),
		marker: "smoke-" + strings.ToLower(rand.Text()[:16]),
		doing:  map[string]string{}, noted: map[string]bool{},
	}
	if err := s.place(); err != nil {
		return err
	}
	if c.DryRun {
		return s.plan()
	}
	s.progress = c.Progress()
	defer s.progress.End()
	if err := s.openIttybit(ctx); err != nil {
		return err
	}
	err = s.try(ctx)
	s.progress.End()
	if _, refused := errors.AsType[smithy.APIError](err); refused && !s.uploaded {
		return err // there is nothing to delete
	}
	if o.keep {
		c.Say("Kept: s3://%s/%s, its outputs and its rows", s.out.Bucket, s.key)
		return err
	}
	finish, cancel := cli.Finish(ctx)
	defer cancel()
	return errors.Join(err, s.cleanUp(finish))
}

// place finds a key for the sample that a route takes, under the name of its
// own that outputs will have as well.
func (s *smoke) place() error {
	info, err := os.Stat(s.sample)
	if err != nil {
		return cli.Usagef("the sample cannot be read: %w", err)
	}
	s.size = info.Size()
	if s.routes, err = s.out.Settings.ParseRoutes(); err != nil {
		return err
	}
	for _, route := range s.routes {
		if s.fits(route.Prefix, media.DefaultSuffixes) {
			return nil
		}
	}
	for _, route := range s.routes {
		if s.fits(route.Prefix, route.Suffixes) {
			s.call.Say("No route takes films: Ittybit gets one with the name of something else, and may fail at it")
			return nil
		}
	}
	return cli.Usagef("no route takes the sample, of %d bytes, under its prefix: see settings.routes in pulumi stack output", s.size)
}

// fits takes the first key under the prefix that a route has, and reports
// whether there is one.
func (s *smoke) fits(prefix string, suffixes []string) bool {
	for _, suffix := range suffixes {
		key := s.under(prefix, s.marker+suffix)
		if taken, ok := s.routes.Match(key); ok && !taken.TooLarge(s.size) && len(key) <= media.MaxKey {
			s.prefix, s.key, s.route = prefix, key, taken
			return true
		}
	}
	return false
}

// under is the key of something of this run's under a prefix.
func (s *smoke) under(prefix, name string) string { return prefix + s.marker + "/" + name }

// plan says what would be done.
func (s *smoke) plan() error {
	p := jsonPlan{Key: s.key, Jobs: len(s.route.Jobs), RetryPath: !s.skipRetryPath, Deletes: !s.keep}
	if !s.noQuestions {
		p.QuestionJobs, p.QuestionJobsAtMost = s.cost()
	}
	if s.call.JSON {
		return s.call.PrintJSON(p)
	}
	s.call.Say("Would upload %s (%d bytes) as s3://%s/%s and follow its %s for up to %v", filepath.Base(s.sample), s.size, s.out.Bucket, s.key, cli.Count(len(s.route.Jobs), "job"), s.timeout)
	if !s.skipRetryPath {
		s.call.Say("Would send a probe through the retry queue")
	}
	if !s.noQuestions {
		s.call.Say("Would make %d small jobs more to find out what is open about Ittybit; up to %d if its answers are unexpected", p.QuestionJobs, p.QuestionJobsAtMost)
	}
	if !s.keep {
		s.call.Say("Would delete the upload, its outputs in the bucket and its rows")
	}
	return nil
}

// try does all that there is to do, and reports it.
func (s *smoke) try(ctx context.Context) error {
	took, err := s.upload(ctx)
	if err != nil {
		return err
	}
	s.uploaded = true
	report := report{key: s.key, uploading: took}
	var probing sync.WaitGroup
	probing.Go(func() {
		if !s.skipRetryPath {
			report.retryPath = new(s.probe(ctx))
		}
	})
	report.way = s.follow(ctx)
	if !s.noQuestions && ctx.Err() == nil {
		report.findings = s.answers(ctx, report.way)
	}
	probing.Wait()
	s.progress.End()
	if err := s.print(report); err != nil {
		return err
	}
	return errors.Join(ctx.Err(), report.err())
}

// upload uploads the sample, again if it was before: in a bucket without
// versions that is the same upload to the pipeline, so no job is doubled.
func (s *smoke) upload(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	err = s.put(ctx, s.key)
	return time.Since(began), err
}

// put uploads the sample under a key of this run's.
func (s *smoke) put(ctx context.Context, key string) error {
	file, err := os.Open(s.sample)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if _, err := s.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.out.Bucket, Key: &key, Body: file, ContentLength: aws.Int64(s.size)}); err != nil {
		return fmt.Errorf("uploading s3://%s/%s: %w", s.out.Bucket, key, err)
	}
	return nil
}

// pause waits until it is time to look again; false when ctx has ended.
func (s *smoke) pause(ctx context.Context) bool {
	return cli.Pause(ctx, s.pace.look) == nil
}

// done ends what [smoke.waits] shows of a part.
func (s *smoke) done(part string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.doing, part)
}

// waits shows what a part of the run waits for.
func (s *smoke) waits(part, format string, args ...any) {
	s.mu.Lock()
	s.doing[part] = cli.Printable(fmt.Sprintf(format, args...))
	s.mu.Unlock()
	s.progress.Show(func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		var parts []string
		for _, part := range []string{partUpload, partProbe, partQuestions} {
			if doing := s.doing[part]; doing != "" {
				parts = append(parts, part+": "+doing)
			}
		}
		return fmt.Sprintf("%v  %s", time.Since(s.began).Round(time.Second), strings.Join(parts, "; "))
	})
}

// The parts of a run that take a while.
const (
	partUpload    = "upload"
	partProbe     = "retry path"
	partQuestions = "questions"
)

// note tells what is worth a line while the run goes on, once of each thing
// that it is about.
func (s *smoke) note(about, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noted[about] {
		return
	}
	s.noted[about] = true
	s.progress.End()
	s.call.Note("%s", cli.OneLine(fmt.Sprintf(format, args...)))
}
