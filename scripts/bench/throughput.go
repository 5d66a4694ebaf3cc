package main

import (
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
	"ittybit-media/scripts/local/aws/dynamodb"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

// What the local run must keep to as it grows.
const (
	minThroughput = 0.8 // × with ten times as many uploads
	maxRow        = 20  // kB
)

// sizes are the numbers of uploads that are compared; the last with the one
// before it.
var sizes = []int{100, 1000, 10_000}

// taken is what one local run took.
type taken struct {
	Uploads int     `json:"uploads"`
	Rows    int     `json:"rows"`
	Seconds float64 `json:"seconds"`
	BaseMB  float64 `json:"base_mb"` // before the first upload
	PeakMB  float64 `json:"peak_mb"` // of this process, at most
}

func (t taken) rate() float64 { return float64(t.Uploads) / t.Seconds }
func (t taken) perRow() float64 {
	return (t.PeakMB - t.BaseMB) * 1000 / float64(t.Rows)
}

// throughput takes uploads through local runs, each in a process of its own, so
// that none has the memory of another.
func (b *bench) throughput(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	rates := make([]sample, len(sizes))
	rows := make([]sample, len(sizes))
	for range b.often(3) {
		for i, n := range sizes {
			cmd := exec.CommandContext(ctx, self, "-uploads", strconv.Itoa(n))
			cmd.Dir, cmd.Stderr = b.root, b.Err
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
			out, err := cmd.Output()
			if err != nil {
				return err
			}
			var t taken
			if err := json.Unmarshal(out, &t); err != nil {
				return err
			}
			rates[i].add(t.rate())
			if t.PeakMB > 0 {
				rows[i].add(t.perRow())
			}
		}
	}
	last := len(sizes) - 1
	for i, n := range sizes {
		b.report(fmt.Sprintf("%d uploads", n), "uploads/s", rates[i], nil)
		if len(rows[i]) > 0 {
			var limit *Limit
			if i == last {
				limit = atMost(maxRow)
			}
			b.report(fmt.Sprintf("%d uploads: memory over the base, a row", n), "kB", rows[i], limit)
		}
	}
	b.compare(fmt.Sprintf("%d uploads / %d uploads", sizes[last], sizes[last-1]), "×", rates[last], rates[last-1], ratio, atLeast(minThroughput))
	return nil
}

// uploaders is how many uploads are under way at once.
const uploaders = 16

// takeThrough takes uploads of one job each through a local run, until each has
// its row in its last state.
func (b *bench) takeThrough(ctx context.Context, n int) (taken, error) {
	binaries, err := bundle.Compile(ctx, bundle.Options{Root: b.root, Target: bundle.Host()})
	if err != nil {
		return taken{}, err
	}
	c, err := config(0)
	if err != nil {
		return taken{}, err
	}
	pipeline.SaveMemory()
	p, err := pipeline.Start(ctx, pipeline.Options{
		Stack: c, Binaries: binaries,
		Ittybit: func(o *fakeittybit.Options) { o.Instant = true },
	})
	if err != nil {
		return taken{}, err
	}
	defer p.Close()
	t := taken{Uploads: n}
	if base, _, err := usageOf(os.Getpid()); err == nil {
		t.BaseMB = float64(base) / 1e6
	}
	client := p.S3()
	begin := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(uploaders)
	for i := range n {
		g.Go(func() error {
			_, err := client.PutObject(gctx, &s3.PutObjectInput{
				Bucket: &p.Bucket,
				Key:    aws.String(fmt.Sprintf("%sclip-%08d.mov", prefix(1), i)),
				Body:   strings.NewReader(fmt.Sprintf("upload %d", i)),
			})
			return err
		})
	}
	if err := errors.Join(g.Wait(), p.Quiet(ctx)); err != nil {
		return taken{}, err
	}
	t.Seconds = time.Since(begin).Seconds()
	if peak, _, err := usageOf(os.Getpid()); err == nil {
		t.PeakMB = float64(peak) / 1e6
	}
	p.Tables.Rows(p.Table, func(r dynamodb.Row) {
		if r.Text("state") == "succeeded" {
			t.Rows++
		}
	})
	if t.Rows != n {
		return taken{}, fmt.Errorf("%d of %d uploads have a row that succeeded", t.Rows, n)
	}
	return t, nil
}
