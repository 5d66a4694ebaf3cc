package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/pipeline"
)

// uploadsAtOnce bounds how many files are sent at a time.
const uploadsAtOnce = 4

// followed is one file on its way.
type followed struct {
	upload
	upl    media.Upload      // once S3 has it
	jobs   []media.Job       // that its route gives it
	rows   []results.Row     // of this upload
	reason string            // why there will be no more rows
	over   bool              // nothing more is to come
	states map[string]string // by job
}

// follow uploads the files, waits until all of their jobs are over and prints
// the rows.
func (c command) follow(ctx context.Context, p *pipeline.Pipeline, o *observer, config stack.Config, uploads []upload) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	f := follower{pipeline: p, table: results.New(p.DynamoDB(), p.Table, results.Options{}), files: map[string]*followed{}, progress: &progress{c.Progress(), c.Err}}
	for _, u := range uploads {
		file := &followed{upload: u, states: map[string]string{}}
		if route, ok := config.Routes.Match(u.key); ok {
			file.jobs = route.Jobs
		}
		f.files[u.key] = file
		f.order = append(f.order, file)
	}
	start := time.Now()
	sending, sendCtx := errgroup.WithContext(limited)
	sending.SetLimit(uploadsAtOnce)
	failed := make(chan error, 1)
	go func() {
		for _, u := range uploads {
			sending.Go(func() error { return send(sendCtx, p, u) })
		}
		failed <- sending.Wait()
	}()
	err := f.wait(limited, o, failed)
	if err == nil && p.Events != nil {
		err = f.events(limited, o)
	}
	f.progress.End()
	cancel()
	_ = sending.Wait()
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case limited.Err() != nil && err != nil:
		err = fmt.Errorf("not over after %v (-timeout): %s", c.timeout, strings.Join(f.unfinished(), ", "))
	}
	if c.JSON {
		return errors.Join(err, c.printRows(f.order), f.verdict())
	}
	printTable(c.Out, f.order, time.Since(start))
	return errors.Join(err, f.verdict())
}

// send uploads a file without ever holding it in memory.
func send(ctx context.Context, p *pipeline.Pipeline, u upload) error {
	file, err := os.Open(u.file)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := p.S3().PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(p.Bucket), Key: aws.String(u.key), Body: file}); err != nil {
		return fmt.Errorf("uploading %s: %w", u.file, err)
	}
	return nil
}

// follower knows how far the files are.
type follower struct {
	pipeline *pipeline.Pipeline
	table    *results.Table
	files    map[string]*followed // by key
	order    []*followed
	progress *progress
}

func (f *follower) wait(ctx context.Context, o *observer, sent <-chan error) error {
	for {
		f.progress.show(f.order)
		if !slices.ContainsFunc(f.order, func(file *followed) bool { return !file.over }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-sent:
			if err != nil {
				return err
			}
			sent = nil
		case <-o.news:
			changed := map[*followed]bool{}
			for _, s := range o.take() {
				f.progress.step(s)
				if file := f.files[s.Upload.Key]; file != nil {
					file.step(s)
					changed[file] = true
				}
			}
			for file := range changed {
				if err := f.read(ctx, file); err != nil {
					return err
				}
			}
		}
	}
}

// events shows the steps up to the last result's event, which comes after the
// row.
func (f *follower) events(ctx context.Context, o *observer) error {
	err := f.pipeline.Events.Idle(ctx)
	for _, s := range o.take() {
		f.progress.step(s)
	}
	return err
}

// step takes what ends an upload's way without a row.
func (file *followed) step(s pipeline.Step) {
	switch s.Kind {
	case pipeline.Uploaded:
		file.upl = s.Upload
	case pipeline.Unmatched, pipeline.Skipped, pipeline.DeadLetter:
		if !file.over {
			file.reason = fmt.Sprintf("%s: %s", s.Kind, s.Text)
			file.over = true
		}
	}
}

// read takes the upload's rows from the table.
func (f *follower) read(ctx context.Context, file *followed) error {
	if file.upl.Key == "" {
		return nil
	}
	id := file.upl.ID(f.pipeline.Table)
	file.rows = nil
	over := map[string]bool{}
	for row, err := range f.table.RowsByKey(ctx, file.key) {
		if err != nil {
			return err
		}
		if row.Upload != id { // of an object that was there before under this key
			continue
		}
		file.rows = append(file.rows, row)
		file.states[row.Job] = row.State
		over[row.Job] = row.Open == ""
	}
	position := func(r results.Row) int {
		return slices.IndexFunc(file.jobs, func(j media.Job) bool { return j.Name == r.Job })
	}
	slices.SortStableFunc(file.rows, func(a, b results.Row) int { return cmp.Compare(position(a), position(b)) })
	if over[""] || len(file.jobs) > 0 && !slices.ContainsFunc(file.jobs, func(j media.Job) bool { return !over[j.Name] }) {
		file.over = true
	}
	return nil
}

func (f *follower) unfinished() []string {
	var keys []string
	for _, file := range f.order {
		if !file.over {
			keys = append(keys, file.key)
		}
	}
	return keys
}

// verdict is an error unless every job of every file succeeded.
func (f *follower) verdict() error {
	bad := 0
	for _, file := range f.order {
		succeeded := 0
		for _, row := range file.rows {
			if row.State == media.Succeeded.String() {
				succeeded++
			}
		}
		if succeeded == 0 || succeeded < len(file.jobs) {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d files did not get all of their results", bad, len(f.order))
	}
	return nil
}

// printRows prints the rows as they are in the table.
func (c command) printRows(files []*followed) error {
	for _, file := range files {
		for _, row := range file.rows {
			if err := c.PrintJSON(row); err != nil {
				return err
			}
		}
	}
	return nil
}

func printTable(out io.Writer, files []*followed, took time.Duration) {
	t := cli.NewTable(out, "KEY", "JOB", "STATE", "KIND", "OUTPUT")
	rows := 0
	for _, file := range files {
		for _, r := range file.rows {
			rows++
			t.Row(r.Key, r.Job, r.State, r.Kind, cmp.Or(r.OutputURL, r.Error))
		}
		if len(file.rows) == 0 {
			t.Row(file.key, "", "", "", cmp.Or(file.reason, "no row"))
		}
	}
	_ = t.Flush()
	fmt.Fprintf(out, "%d rows in %.1f s\n", rows, took.Seconds())
}

// jobStates is how far the jobs of a file are, in a few words.
func (file *followed) jobStates() string {
	if file.reason != "" {
		return file.reason
	}
	if file.upl.Key == "" {
		return "uploading"
	}
	words := make([]string, 0, len(file.jobs))
	for _, j := range file.jobs {
		words = append(words, j.Name+" "+cmp.Or(file.states[j.Name], "…"))
	}
	if state, ok := file.states[""]; ok {
		return state
	}
	if len(words) == 0 {
		return strings.Join(slices.Sorted(maps.Values(file.states)), ", ")
	}
	return strings.Join(words, "  ")
}
