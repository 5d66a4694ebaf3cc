package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
)

// maxInitAllocations is what this module's own packages may allocate before main
// runs: a regular expression that every start compiles is hundreds.
const maxInitAllocations = 100

// allocations counts those of what every event goes through, and of the
// functions' own packages before main.
func (b *bench) allocations(ctx context.Context) (figures, error) {
	all, err := b.decodings()
	if err != nil {
		return nil, err
	}
	var out figures
	for _, d := range all {
		if err := d.do(); err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		n := testing.AllocsPerRun(200, func() { _ = d.do() })
		out.add(d.name, "allocs", sample{n}, atMost(d.most))
	}
	s, err := b.services(ctx, 0, 0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	for _, name := range functions[1:] {
		n, err := s.initAllocations(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.add(name+": this module before main", "allocs", sample{n}, atMost(maxInitAllocations))
	}
	return out, nil
}

// decoding is a piece of work that every event goes through, with the most
// allocations that it may make: a tenth above what it makes now, which leaves room
// for another Go version.
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
		{"decode an upload's event", 27, func() error { _, err := event.DecodePayload(payload); return err }},
		{"decode a callback", 65, func() error { _, err := ittybit.DecodeCallback(callback); return err }},
		{"sign a token", 34, func() error { _, err := keys.Sign(ref); return err }},
		{"verify a token", 49, func() error { _, err := keys.Verify(token); return err }},
	}, nil
}

// initAllocations starts a function and returns what its packages of this module
// allocated before main.
func (s *services) initAllocations(ctx context.Context, name string) (float64, error) {
	var log bytes.Buffer
	f, err := s.function(ctx, name, setup{env: map[string]string{"GODEBUG": "inittrace=1"}, log: &log})
	if err != nil {
		return 0, err
	}
	_, err = f.Check(ctx)
	f.Close() // the log is complete
	if err != nil {
		return 0, err
	}
	return ownAllocations(log.String())
}

// initialised is a line of GODEBUG=inittrace=1 ("Environment Variables", package
// runtime).
var initialised = regexp.MustCompile(`(?m)^init (\S+) @[\d.]+ ms, [\d.]+ ms clock, \d+ bytes, (\d+) allocs`)

// ownAllocations adds up those of this module's packages, as the runtime reports
// them. A report without any package is an error.
func ownAllocations(log string) (sum float64, err error) {
	lines := initialised.FindAllStringSubmatch(log, -1)
	if len(lines) == 0 {
		return 0, errors.New("the runtime did not report the init of any package")
	}
	for _, m := range lines {
		if strings.HasPrefix(m[1], "ittybit-media/") {
			n, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}
