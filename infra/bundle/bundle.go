// Package bundle compiles the module's Lambda handlers and packs each into the
// zip that Lambda runs.
//
// The same sources give the same bytes on any machine, so that a deployment of
// unchanged code changes nothing; and a run with nothing to do takes well under
// a second, so that everything can call it every time. The Pulumi program packs
// with [Build], the local run compiles with [Compile].
package bundle

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// Options says what is compiled, for which machine, and where the result goes.
type Options struct {
	// Root is the folder with go.mod. Empty: the nearest one, from the working
	// folder upwards.
	Root string

	// Dir keeps the results between runs, one folder in it per target. Empty:
	// Root/.build. It may be deleted at any time, and used by several runs at
	// the same moment.
	Dir string

	// Target is [Lambda] or [Host]; it must be said.
	Target Target

	// Files is what lies beside bootstrap in a handler's zip: handler → file
	// name (slash-separated) → content. Only [Build] uses it.
	Files map[string]map[string][]byte
}

// Archive is one handler's zip.
type Archive struct {
	Path   string // absolute; stays the same while the names and contents of Options.Files do
	SHA256 string // of the zip, in lower-case hex
	Size   int64  // of the zip, in bytes
}

// Compile compiles the handlers and returns the absolute path of each one's
// binary, by handler. A binary that is up to date is left as it is.
//
// The error of code that does not compile holds the compiler's lines, with
// paths relative to Root. When ctx ends, the compiler is stopped and the error
// wraps ctx's.
func Compile(ctx context.Context, o Options) (map[string]string, error) {
	j, err := compiled(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	binaries := make(map[string]string, len(j.handlers))
	for _, h := range j.handlers {
		binaries[h] = j.binary(h)
	}
	return binaries, nil
}

// Build compiles the handlers as [Compile] does and returns each one's zip, by
// handler: the binary as bootstrap, and its Options.Files. A zip whose contents
// did not change is left as it is. The target must be [Lambda].
func Build(ctx context.Context, o Options) (map[string]Archive, error) {
	if o.Target.host {
		return nil, fmt.Errorf("bundle: a zip is for Lambda: give bundle.Lambda as target, not bundle.Host")
	}
	j, err := compiled(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	zips := make([]Archive, len(j.handlers))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, h := range j.handlers {
		g.Go(func() (err error) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if zips[i], err = pack(j.dir, h, j.binary(h), j.files[h]); err != nil {
				return fmt.Errorf("zip of handler %s: %w", h, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}

	archives := make(map[string]Archive, len(zips))
	for i, h := range j.handlers {
		archives[h] = zips[i]
	}
	return archives, nil
}

// job is Options with everything found, checked and made absolute.
type job struct {
	module
	dir      string // of this target's results
	target   Target
	handlers []string // sorted, at least one
	files    map[string]map[string][]byte
}

// compiled checks the options and compiles the handlers.
func compiled(ctx context.Context, o Options) (*job, error) {
	j, err := newJob(o)
	if err != nil {
		return nil, err
	}
	if err := j.checkFiles(); err != nil {
		return nil, err
	}
	return j, j.compile(ctx)
}

func newJob(o Options) (*job, error) {
	if err := o.Target.check(); err != nil {
		return nil, err
	}
	m, err := openModule(o.Root)
	if err != nil {
		return nil, err
	}
	handlers, err := m.handlers()
	if err != nil {
		return nil, err
	}
	dir := o.Dir
	if dir == "" {
		dir = filepath.Join(m.root, ".build")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	// Two targets' binaries have the same names and must not replace each other.
	dir = filepath.Join(dir, o.Target.String())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return &job{module: m, dir: dir, target: o.Target, handlers: handlers, files: o.Files}, nil
}

// binary is where the go command puts the handler's binary.
func (j *job) binary(handler string) string {
	return filepath.Join(j.dir, handler+j.target.exe())
}
