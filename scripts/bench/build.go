package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ittybit-media/infra/bundle"
)

// maxUnchanged is what a preview of unchanged code may spend on bundling.
const maxUnchanged = 1000 // ms

// build measures builds of the zips in a copy of the module.
func (b *bench) build(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "ittybit-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	root := filepath.Join(dir, "module")
	if err := copyFiles(root, b.root, "go.mod", "go.sum"); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(root, "handlers"), os.DirFS(filepath.Join(b.root, "handlers"))); err != nil {
		return err
	}
	o := bundle.Options{Root: root, Dir: filepath.Join(dir, "out"), Target: bundle.Lambda("arm64")}
	built := func() (float64, error) {
		begin := time.Now()
		_, err := bundle.Build(ctx, o)
		return milliseconds(time.Since(begin)), err
	}
	if _, err := built(); err != nil { // what they all have in common is compiled
		return err
	}
	var unchanged, changed, cold sample
	for n := range b.often(10) {
		d, err := built()
		if err != nil {
			return err
		}
		unchanged.add(d)
		if err := writeFile(filepath.Join(root, "handlers", "webhook", "changed.go"), fmt.Sprintf("package main\n\nvar _ = %d\n", n)); err != nil {
			return err
		}
		if d, err = built(); err != nil {
			return err
		}
		changed.add(d)
	}
	b.report("zips, nothing changed", "ms", unchanged, atMost(maxUnchanged))
	b.report("zips, one handler changed", "ms", changed, nil)

	// The compiler's cache comes from the environment.
	before, was := os.LookupEnv("GOCACHE")
	defer func() {
		if was {
			_ = os.Setenv("GOCACHE", before)
		} else {
			_ = os.Unsetenv("GOCACHE")
		}
	}()
	for n := range b.often(1) {
		if err := os.Setenv("GOCACHE", filepath.Join(dir, "cache", fmt.Sprint(n))); err != nil {
			return err
		}
		o.Dir = filepath.Join(dir, fmt.Sprint("out", n))
		d, err := built()
		if err != nil {
			return err
		}
		cold.add(d)
	}
	b.report("zips, from nothing", "ms", cold, nil)
	return nil
}
