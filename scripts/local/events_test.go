package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// Files that are followed show their events, the last one too.
func TestResultEventsAreShown(t *testing.T) {
	values, err := stack.ReadFile("Pulumi.dev.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for on, want := range map[string]int{"true": 3, "false": 0} {
		values["resultEvents"] = on
		config, _, err := stack.Parse(values)
		if err != nil {
			t.Fatal(err)
		}
		o := newObserver()
		p, err := pipeline.Start(t.Context(), pipeline.Options{
			Stack: config, Name: "dev", Binaries: pipelinetest.Binaries(t), Observe: o.step,
			Ittybit: func(o *fakeittybit.Options) { o.Instant = true },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		var stderr bytes.Buffer
		c := command{Call: &cli.Call{Out: io.Discard, Err: &stderr}, timeout: time.Minute}
		if err := c.follow(t.Context(), p, o, config, []upload{{filepath.FromSlash(sample), "uploads/a.mov"}}); err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		if got := strings.Count(stderr.String(), `uploads/a.mov: event: Media Job Succeeded {"version":"1","stack":"dev",`); got != want {
			t.Errorf("resultEvents: %s: %d events in\n%s", on, got, &stderr)
		}
	}
}
