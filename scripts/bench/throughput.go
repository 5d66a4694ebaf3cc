package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"ittybit-media/infra/bundle"
	"ittybit-media/scripts/internal/procstat"
	"ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

// What the local pipeline must keep to as it grows.
const (
	minThroughput = 0.8 // × with ten times as many uploads
	maxRow        = 20  // kB
)

// sizes are the numbers of uploads that are compared; the last with the one
// before it.
var sizes = []int{100, 1000, 10_000}

// load is what uploads took on one local pipeline.
type load struct {
	Uploads int     `json:"uploads"`
	Seconds float64 `json:"seconds"`
	BaseMB  float64 `json:"base_mb"` // peak before the first upload; 0 where the system does not tell
	PeakMB  float64 `json:"peak_mb"`
}

func (l load) rate() float64   { return float64(l.Uploads) / l.Seconds }
func (l load) perRow() float64 { return (l.PeakMB - l.BaseMB) * 1000 / float64(l.Uploads) }

// throughput runs uploads through local pipelines, each in a process of its own,
// so that none has the memory of another.
func (b *bench) throughput(ctx context.Context) (figures, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	rates, rows := make([]sample, len(sizes)), make([]sample, len(sizes))
	for range cmp.Or(b.runs, 3) {
		for i, n := range sizes {
			l, err := b.loadInProcess(ctx, self, n)
			if err != nil {
				return nil, err
			}
			rates[i].add(l.rate())
			if l.PeakMB > 0 {
				rows[i].add(l.perRow())
			}
		}
	}
	var out figures
	last := len(sizes) - 1
	for i, n := range sizes {
		out.add(fmt.Sprintf("%d uploads", n), "uploads/s", rates[i], nil)
		if len(rows[i]) == 0 {
			continue
		}
		var limit *Limit
		if i == last {
			limit = atMost(maxRow)
		}
		out.add(fmt.Sprintf("%d uploads: memory over the base, a row", n), "kB", rows[i], limit)
	}
	out.add(fmt.Sprintf("%d uploads / %d uploads", sizes[last], sizes[last-1]), "×", pairs(rates[last], rates[last-1], ratio), atLeast(minThroughput))
	return out, nil
}

// loadInProcess runs this command for one load.
func (b *bench) loadInProcess(ctx context.Context, self string, uploads int) (l load, err error) {
	cmd := exec.CommandContext(ctx, self, "-uploads", strconv.Itoa(uploads))
	cmd.Dir, cmd.Stderr = b.root, b.Err
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.Output()
	if err != nil {
		return load{}, err
	}
	return l, json.Unmarshal(out, &l)
}

// uploaders is how many uploads are under way at once.
const uploaders = 16

// load runs uploads of one job each through a local pipeline, until each has a
// row that says succeeded.
func (b *bench) load(ctx context.Context, uploads int) (load, error) {
	binaries, err := bundle.Compile(ctx, bundle.Options{Root: b.root, Target: bundle.Host()})
	if err != nil {
		return load{}, err
	}
	c, err := config(0)
	if err != nil {
		return load{}, err
	}
	pipeline.SaveMemory()
	p, err := pipeline.Start(ctx, pipeline.Options{
		Stack: c, Binaries: binaries,
		Ittybit: func(o *fakeittybit.Options) { o.Instant = true },
	})
	if err != nil {
		return load{}, err
	}
	defer p.Close()
	l := load{Uploads: uploads, BaseMB: peakMB()}
	begin := time.Now()
	if err := errors.Join(upload(ctx, p, uploads), p.Quiet(ctx)); err != nil {
		return load{}, err
	}
	l.Seconds, l.PeakMB = time.Since(begin).Seconds(), peakMB()
	succeeded := 0
	p.Tables.Rows(p.Table, func(r dynamodb.Row) {
		if r.Text("state") == "succeeded" {
			succeeded++
		}
	})
	if succeeded != uploads {
		return load{}, fmt.Errorf("%d of %d uploads have a row that says succeeded", succeeded, uploads)
	}
	return l, nil
}

func upload(ctx context.Context, p *pipeline.Pipeline, uploads int) error {
	client := p.S3()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(uploaders)
	for i := range uploads {
		g.Go(func() error {
			_, err := client.PutObject(ctx, &s3.PutObjectInput{
				Bucket: &p.Bucket,
				Key:    aws.String(fmt.Sprintf("%sclip-%08d.mov", prefix(1), i)),
				Body:   strings.NewReader(fmt.Sprintf("upload %d", i)),
			})
			return err
		})
	}
	return g.Wait()
}

// peakMB is the peak memory of this process; 0 where the system does not tell.
func peakMB() float64 {
	u, _ := procstat.Read(os.Getpid())
	return float64(u.PeakMemory) / 1e6
}
