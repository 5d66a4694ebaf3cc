package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
)

// decoding is a piece of work that every event goes through, with the most
// allocations that it may make.
type decoding struct {
	name string
	most float64
	do   func() error
}

func (b *bench) decodings() ([]decoding, error) {
	payload, err := os.ReadFile(filepath.Join(b.root, "handlers/event/testdata/s3_object_created.json"))
	if err != nil {
		return nil, err
	}
	callback, err := os.ReadFile(filepath.Join(b.root, "handlers/ittybit/testdata/w2_guide.json"))
	if err != nil {
		return nil, err
	}
	keys, err := media.NewCallbackKeys([]string{strings.Repeat("k", 64)})
	if err != nil {
		return nil, err
	}
	ref := media.JobRef{Bucket: "my-media-bucket", Key: "uploads/video.mov", Upload: strings.Repeat("0", 32), Job: "video"}
	token, err := keys.Sign(ref)
	if err != nil {
		return nil, err
	}
	return []decoding{
		{"an upload's event", maxEventAllocations, func() error {
			_, err := event.DecodePayload(payload)
			return err
		}},
		{"a callback", maxCallbackAllocations, func() error {
			_, err := ittybit.DecodeCallback(callback)
			return err
		}},
		{"a token, to sign", maxSignAllocations, func() error {
			_, err := keys.Sign(ref)
			return err
		}},
		{"a token, to verify", maxVerifyAllocations, func() error {
			_, err := keys.Verify(token)
			return err
		}},
	}, nil
}

// The most allocations of each, a tenth above what they make now, for another
// Go to differ by.
const (
	maxEventAllocations    = 27
	maxCallbackAllocations = 65
	maxSignAllocations     = 34
	maxVerifyAllocations   = 49
)

// decode measures the decoders in this process.
func (b *bench) decode(context.Context) error {
	all, err := b.decodings()
	if err != nil {
		return err
	}
	const batch = 200
	times := make([]sample, len(all))
	for range b.often(50) {
		for i, d := range all {
			begin := time.Now()
			var errs error
			for range batch {
				errs = errors.Join(errs, d.do())
			}
			if errs != nil {
				return errs
			}
			times[i].add(float64(time.Since(begin).Nanoseconds()) / batch / 1000)
		}
	}
	for i, d := range all {
		b.report(d.name, "µs", times[i], nil)
		allocations := testing.AllocsPerRun(batch, func() { _ = d.do() })
		b.report(d.name+": allocations", "allocs", sample{allocations}, atMost(d.most))
	}
	return nil
}
