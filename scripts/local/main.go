// Command local runs the whole pipeline on this machine, with the real handlers
// and stand-ins for AWS and Ittybit: files given to it go in, finished rows come
// out. It needs Go and nothing else; with ffmpeg on PATH the outputs are real.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/bundle"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/access"
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/page"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/process"
	"ittybit-media/scripts/version"
)

const usage = `Run the pipeline on this machine.

  go run ./scripts/local [flags] FILE…   upload the files, follow them, print their rows
  go run ./scripts/local [flags]         serve the page and the S3 endpoint until Ctrl-C
  go run ./scripts/local -chaos [-uploads N] [-seed N] [-json]
                                         run N uploads through every kind of fault

Files that are given are uploaded under the first route's prefix that fits, and
followed until each of their jobs is over. The exit code is 0 when every job
succeeded, 1 when something failed, was rejected, was given up or took too long,
2 when the command line or the stack file is wrong.

-chaos takes routes and uploads of its own: first without faults, then with
events doubled and late, functions killed, answers lost, services throttled or
down for a day, callbacks lost, doubled, late and forged. Days pass in seconds.
The exit code is 0 when every row came out as without faults, no job was made
twice and no forgery was taken. The same seed makes the same faults.

  go run ./scripts/local testdata/sample.mov
  go run ./scripts/local -json testdata/sample.mov
  go run ./scripts/local -key 'uploads/a b+c.mov' testdata/sample.mov
  go run ./scripts/local -chaos -uploads 500 -seed 7

Flags:
`

// command is what the command line says.
type command struct {
	files   []string
	stack   string
	key     string
	addr    string
	page    string
	timeout time.Duration
	json    bool
	keep    bool
	chaos   bool
	count   int // of uploads
	seed    uint64
	version bool
}

func main() {
	process.Main(func(ctx context.Context) int { return run(ctx, os.Args[1:], os.Stdout, os.Stderr) })
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return process.OK
	case err != nil:
		fmt.Fprintf(stderr, "local: %v\nlocal -h says how it is used\n", err)
		return process.Usage
	}
	if err := cmd.run(ctx, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "local: %v\n", err)
		if _, ok := errors.AsType[usageError](err); ok {
			return process.Usage
		}
		return process.Failed
	}
	return process.OK
}

// usageError is what the user can put right in the command line or in a file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func parse(args []string, stderr io.Writer) (command, error) {
	var c command
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.stack, "stack", "dev", "take routes, connection and limits from Pulumi.`STACK`.yaml")
	flags.StringVar(&c.key, "key", "", "upload the one file as this object `key`")
	flags.StringVar(&c.addr, "addr", "127.0.0.1:0", "`address` of the S3 endpoint; port 0 takes a free one")
	flags.StringVar(&c.page, "page", "127.0.0.1:0", "`address` of the page, on loopback; port 0 takes a free one")
	flags.DurationVar(&c.timeout, "timeout", 2*time.Minute, "how long to follow the files")
	flags.BoolVar(&c.json, "json", false, "print nothing to standard output but the rows, one JSON object a line; of -chaos, the report")
	flags.BoolVar(&c.keep, "keep", false, "keep objects and outputs in a folder when done, and say where")
	flags.BoolVar(&c.chaos, "chaos", false, "run uploads through every kind of fault and report")
	flags.IntVar(&c.count, "uploads", 500, "how many uploads -chaos makes")
	flags.BoolVar(&c.version, "version", false, "say which version this is")
	flags.Uint64Var(&c.seed, "seed", 1, "which faults -chaos makes")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, usage)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
	}
	if err != nil {
		return c, err
	}
	c.files = flags.Args()
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case c.chaos && (len(c.files) > 0 || given["stack"] || given["key"] || given["addr"] || given["timeout"] || given["keep"]):
		return c, errors.New("-chaos goes with -uploads, -seed and -json alone: it has uploads and routes of its own")
	case !c.chaos && (given["uploads"] || given["seed"]):
		return c, errors.New("-uploads and -seed are for -chaos")
	case c.count < 1:
		return c, fmt.Errorf("-uploads %d is not above 0", c.count)
	case c.key != "" && len(c.files) != 1:
		return c, fmt.Errorf("-key names the object of one file; there are %d", len(c.files))
	case len(c.key) > media.MaxKey:
		return c, fmt.Errorf("-key has %d bytes; S3 takes %d", len(c.key), media.MaxKey)
	case c.timeout <= 0:
		return c, fmt.Errorf("-timeout %v is not above 0", c.timeout)
	}
	for _, file := range c.files {
		info, err := os.Stat(file)
		switch {
		case err != nil && strings.HasPrefix(file, "-"):
			return c, fmt.Errorf("%s is no file; flags go before the files", file)
		case err != nil:
			return c, fmt.Errorf("cannot read the file: %w", err)
		case !info.Mode().IsRegular():
			return c, fmt.Errorf("%s is not a file", file)
		}
	}
	return c, nil
}

func (c command) run(ctx context.Context, stdout, stderr io.Writer) error {
	if c.version {
		_, err := fmt.Fprintln(stdout, version.Line())
		return err
	}
	root, err := bundle.FindRoot()
	if err != nil {
		return usageError{err}
	}
	if c.chaos {
		return c.runChaos(ctx, root, stdout, stderr)
	}
	config, err := readStack(filepath.Join(root, "Pulumi."+c.stack+".yaml"), stderr)
	if err != nil {
		return usageError{err}
	}
	uploads, err := c.uploads(config.Routes)
	if err != nil {
		return usageError{err}
	}
	binaries, err := compile(ctx, root, stderr)
	if err != nil {
		return err
	}
	dir, done, err := c.folder(stderr)
	if err != nil {
		return err
	}
	defer done()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		fmt.Fprintln(stderr, "ffmpeg is not on PATH: every output is a copy of its input. Install ffmpeg to see real outputs.")
		ffmpeg = ""
	}
	if !config.ManageNotifications {
		fmt.Fprintln(stderr, "manageNotifications is false: here the bucket's events are on all the same; on AWS somebody has to turn EventBridge on for it.")
	}
	var observe observer
	o := pipeline.Options{
		Stack:    config,
		Name:     c.stack,
		Binaries: binaries,
		Addr:     c.addr,
		Dir:      dir,
		Clock:    clock.New(),
		Observe:  observe.step,
		Ittybit: func(o *fakeittybit.Options) {
			o.FFmpeg = ffmpeg
			o.Notice = func(text string) { fmt.Fprintln(stderr, text) }
		},
	}
	pipeline.SaveMemory()
	var page *page.Page
	if len(uploads) == 0 {
		page = withPage(&o, c.page, ffmpeg != "")
		defer page.Close()
	}
	p, err := pipeline.Start(ctx, o)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer p.Close()
	if page != nil {
		address, err := page.Start(p)
		if err != nil {
			return err
		}
		return serve(ctx, p, address, &observe, config, access.File(root), stdout)
	}
	return c.follow(ctx, p, &observe, config, uploads, stdout, stderr)
}

// withPage has a page hear of everything.
func withPage(o *pipeline.Options, addr string, ffmpeg bool) *page.Page {
	page := page.New(page.Options{Addr: addr, Clock: o.Clock, Routes: o.Stack.Routes, Outputs: o.Stack.OutputPrefix, FFmpeg: ffmpeg})
	observe, ittybit := o.Observe, o.Ittybit
	o.Observe = func(s pipeline.Step) {
		observe(s)
		page.Observe(s)
	}
	o.Ittybit = func(o *fakeittybit.Options) {
		ittybit(o)
		page.Ittybit(o)
	}
	return page
}

func compile(ctx context.Context, root string, stderr io.Writer) (map[string]string, error) {
	fmt.Fprintln(stderr, "Compiling the handlers…")
	binaries, err := bundle.Compile(ctx, bundle.Options{Root: root, Target: bundle.Host()})
	if err != nil {
		return nil, interrupted(ctx, err)
	}
	return binaries, nil
}

func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

func readStack(file string, stderr io.Writer) (stack.Config, error) {
	values, err := stack.ReadFile(file)
	if err != nil {
		return stack.Config{}, err
	}
	config, warnings, err := stack.Parse(values)
	for _, w := range warnings {
		fmt.Fprintf(stderr, "warning: %s: %v\n", filepath.Base(file), w)
	}
	if err != nil {
		return config, fmt.Errorf("%s is wrong:\n%w", filepath.Base(file), err)
	}
	return config, nil
}

// folder is where the objects and outputs are, and what is to be done with them
// in the end.
func (c command) folder(stderr io.Writer) (dir string, done func(), err error) {
	dir, err = os.MkdirTemp("", "ittybit-media-")
	if err != nil {
		return "", nil, fmt.Errorf("no folder for the objects: %w", err)
	}
	if c.keep {
		return dir, func() { fmt.Fprintf(stderr, "Objects and outputs are kept in %s\n", dir) }, nil
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// upload is one file and the key it gets.
type upload struct {
	file string
	key  string
}

func (c command) uploads(routes media.Routes) ([]upload, error) {
	files := map[string]string{}
	var all []upload
	for _, file := range c.files {
		key := c.key
		if key == "" {
			key = pipeline.DefaultKey(routes, filepath.Base(file))
		}
		if other, ok := files[key]; ok {
			return nil, fmt.Errorf("%s and %s would have the same key, %s; upload them one after the other, with -key", other, file, key)
		}
		files[key] = file
		all = append(all, upload{file, key})
	}
	return all, nil
}
