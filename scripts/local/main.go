// Command local runs the whole pipeline on this machine, with the real
// handlers, emulators of the AWS services and a fake Ittybit.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/bundle"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/access"
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/page"
	"ittybit-media/scripts/local/pipeline"
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
twice and no forgery was taken. With the same seed, the same operations meet
the same faults; how many operations there are depends on the machine, too.

  go run ./scripts/local testdata/sample.mov
  go run ./scripts/local -json testdata/sample.mov
  go run ./scripts/local -key 'uploads/a b+c.mov' testdata/sample.mov
  go run ./scripts/local -chaos -uploads 500 -seed 7

-json prints the rows, or of -chaos the report.
`

var script = cli.Command{Name: "local", Usage: usage, Flags: declare}

func main() { cli.Main(script) }

// command is what the command line says.
type command struct {
	*cli.Call
	stack   string
	key     string
	addr    string
	page    string
	timeout time.Duration
	keep    bool
	chaos   bool
	count   int // of uploads
	seed    uint64
}

func declare(flags *flag.FlagSet) func(context.Context, *cli.Call) error {
	var c command
	flags.StringVar(&c.stack, "stack", "dev", "take routes, connection and limits from Pulumi.`STACK`.yaml")
	flags.StringVar(&c.key, "key", "", "upload the one file as this object `key`")
	flags.StringVar(&c.addr, "addr", "127.0.0.1:0", "`address` of the S3 endpoint; port 0 takes a free one")
	flags.StringVar(&c.page, "page", "127.0.0.1:0", "`address` of the page, on loopback; port 0 takes a free one")
	flags.DurationVar(&c.timeout, "timeout", 2*time.Minute, "how long to follow the files")
	flags.BoolVar(&c.keep, "keep", false, "keep objects and outputs in a folder when done, and say where")
	flags.BoolVar(&c.chaos, "chaos", false, "run uploads through every kind of fault and report")
	flags.IntVar(&c.count, "uploads", 500, "how many uploads -chaos makes")
	flags.Uint64Var(&c.seed, "seed", 1, "which faults -chaos makes")
	return func(ctx context.Context, call *cli.Call) error {
		c.Call = call
		given := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if err := c.check(given); err != nil {
			return err
		}
		root, err := bundle.FindRoot()
		if err != nil {
			return cli.Usagef("%w", err)
		}
		if c.chaos {
			return c.runChaos(ctx, root)
		}
		return c.run(ctx, root)
	}
}

// check refuses what makes no sense before anything is started.
func (c command) check(given map[string]bool) error {
	switch {
	case c.chaos && (len(c.Args) > 0 || given["stack"] || given["key"] || given["addr"] || given["timeout"] || given["keep"]):
		return cli.Usagef("-chaos goes with -uploads, -seed and -json alone: it has uploads and routes of its own")
	case !c.chaos && (given["uploads"] || given["seed"]):
		return cli.Usagef("-uploads and -seed are for -chaos")
	case c.count < 1:
		return cli.Usagef("-uploads %d is not above 0", c.count)
	case c.key != "" && len(c.Args) != 1:
		return cli.Usagef("-key names the object of one file; there are %d", len(c.Args))
	case len(c.key) > media.MaxKey:
		return cli.Usagef("-key has %d bytes; S3 takes %d", len(c.key), media.MaxKey)
	case c.timeout <= 0:
		return cli.Usagef("-timeout %v is not above 0", c.timeout)
	}
	for _, file := range c.Args {
		info, err := os.Stat(file)
		switch {
		case err != nil:
			return cli.Usagef("cannot read the file: %w", err)
		case !info.Mode().IsRegular():
			return cli.Usagef("%s is not a file", file)
		}
	}
	return nil
}

// run starts the pipeline and, while it runs, follows the files or serves.
func (c command) run(ctx context.Context, root string) error {
	config, err := c.readStack(filepath.Join(root, "Pulumi."+c.stack+".yaml"))
	if err != nil {
		return cli.Usagef("%w", err)
	}
	uploads, err := c.uploads(config.Routes)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	binaries, err := c.compile(ctx, root)
	if err != nil {
		return err
	}
	dir, done, err := c.folder()
	if err != nil {
		return err
	}
	defer done()
	ffmpeg := c.ffmpeg()
	if !config.ManageNotifications {
		c.Note("manageNotifications is false: here the bucket's events are on all the same; on AWS somebody has to turn EventBridge on for it.")
	}
	observe := newObserver()
	o := pipeline.Options{
		Stack: config, Name: c.stack, Binaries: binaries,
		Addr: c.addr, Dir: dir, Clock: clock.New(), Observe: observe.step,
		Ittybit: func(o *fakeittybit.Options) {
			o.FFmpeg = ffmpeg
			o.Notice = func(text string) { c.Note("%s", text) }
		},
	}
	var console *page.Page
	if len(uploads) == 0 {
		console = withPage(&o, c.page, ffmpeg != "")
		defer console.Close()
	}
	pipeline.SaveMemory()
	p, err := pipeline.Start(ctx, o)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	defer p.Close()
	if console == nil {
		return c.follow(ctx, p, observe, config, uploads)
	}
	address, err := console.Start(p)
	if err != nil {
		return err
	}
	return serve(ctx, p, address, observe, config, access.File(root), c.Out)
}

// ffmpeg returns the path of ffmpeg; "" when there is none, which it says.
func (c command) ffmpeg() string {
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		c.Note("ffmpeg is not on PATH: every output is a copy of its input. Install ffmpeg to see real outputs.")
		return ""
	}
	return path
}

// withPage returns a page that hears of everything.
func withPage(o *pipeline.Options, addr string, ffmpeg bool) *page.Page {
	console := page.New(page.Options{Addr: addr, Clock: o.Clock, Routes: o.Stack.Routes, Outputs: o.Stack.OutputPrefix, FFmpeg: ffmpeg})
	observe, ittybit := o.Observe, o.Ittybit
	o.Observe = func(s pipeline.Step) {
		observe(s)
		console.Observe(s)
	}
	o.Ittybit = func(o *fakeittybit.Options) {
		ittybit(o)
		console.Ittybit(o)
	}
	return console
}

// compile compiles the handlers. The error of an interruption is ctx's.
func (c command) compile(ctx context.Context, root string) (map[string]string, error) {
	c.Note("Compiling the handlers…")
	binaries, err := bundle.Compile(ctx, bundle.Options{Root: root, Target: bundle.Host()})
	if err != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	return binaries, nil
}

func (c command) readStack(file string) (stack.Config, error) {
	values, err := stack.ReadFile(file)
	if err != nil {
		return stack.Config{}, err
	}
	config, warnings, err := stack.Parse(values)
	for _, w := range warnings {
		c.Note("warning: %s: %v", filepath.Base(file), w)
	}
	if err != nil {
		return config, fmt.Errorf("%s is wrong:\n%w", filepath.Base(file), err)
	}
	return config, nil
}

// folder makes the folder for the objects and outputs. done deletes it in the
// end or, with -keep, says where it is.
func (c command) folder() (dir string, done func(), err error) {
	dir, err = os.MkdirTemp("", "ittybit-media-")
	if err != nil {
		return "", nil, fmt.Errorf("no folder for the objects: %w", err)
	}
	if c.keep {
		return dir, func() { c.Note("Objects and outputs are kept in %s", dir) }, nil
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
	for _, file := range c.Args {
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
