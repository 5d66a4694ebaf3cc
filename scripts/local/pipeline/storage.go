package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/scripts/local/aws/eventbridge"
	"ittybit-media/scripts/local/aws/s3"
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/fakeittybit"
)

func (p *Pipeline) startS3(dir string) error {
	pattern, err := event.Pattern(p.Bucket, p.opts.Stack.Routes)
	if err != nil {
		return err
	}
	if p.rule, err = eventbridge.Compile([]byte(pattern)); err != nil {
		return err
	}
	p.Objects, err = s3.New(s3.Options{
		Dir:       dir,
		AccessKey: p.AccessKey,
		SecretKey: p.SecretKey,
		Buckets:   []s3.Bucket{{Name: p.Bucket, Versioned: p.opts.Versioned, EventBridge: true}},
		Now:       p.clock.Now,
		OnCreated: p.created,
	})
	if err != nil {
		return err
	}
	p.stops = append(p.stops, func() { _ = p.Objects.Close() })
	p.S3URL, err = p.serve("the S3 endpoint", cmp.Or(p.opts.Addr, loopback), p.Objects.Handler())
	return err
}

// startIttybit starts the fake with a connection to the bucket.
func (p *Pipeline) startIttybit(dir string) error {
	outputs := filepath.Join(dir, "outputs")
	if err := os.MkdirAll(outputs, 0o700); err != nil {
		return err
	}
	o := fakeittybit.Options{
		Clock:   ittybitClock{p.clock},
		Storage: objects{p},
		Dir:     outputs,
	}
	if p.opts.Ittybit != nil {
		p.opts.Ittybit(&o)
	}
	server, err := fakeittybit.New(o)
	if err != nil {
		return err
	}
	p.Ittybit = server
	p.stops = append(p.stops, func() { _ = server.Close() })
	p.RotateAPIKey()
	p.apiURL, err = p.serve("the fake of Ittybit", loopback, server)
	return err
}

// objects is Ittybit's connection to the bucket.
type objects struct{ p *Pipeline }

func (o objects) Open(_ context.Context, bucket, key string) (string, func(), error) {
	path, release, err := o.p.Objects.Open(bucket, key)
	if errors.Is(err, s3.ErrNotFound) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return path, release, err
}

func (o objects) Put(ctx context.Context, bucket, key, path string) error {
	return o.p.Objects.PutFile(ctx, bucket, key, path)
}

// ittybitClock lets the fake live by the clock.
type ittybitClock struct{ *clock.Clock }

func (c ittybitClock) AfterFunc(d time.Duration, f func()) { c.Clock.AfterFunc(d, f) }
