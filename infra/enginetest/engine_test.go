// Package enginetest_test runs the program of this project in the real Pulumi
// engine: the CLI, a language host and the providers that are on PATH. What
// mocks cannot see is seen here: the stack files through the CLI's eyes, the
// state, updates of what is there, and the end.
//
// No run can reach an account: the credentials are made up, and every other way
// to some is closed. The providers have to be stand-ins that make do with that.
package enginetest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/infra/bundle"
	"ittybit-media/infra/stack"
)

// tools are what must be on PATH.
var tools = []string{"go", "pulumi", "pulumi-language-go", "pulumi-resource-aws", "pulumi-resource-random"}

// engine is a Pulumi engine with a state of its own.
type engine struct {
	env   []string
	state string // the folder of the backend
}

// newEngine skips the test where there is no engine to run.
func newEngine(tb testing.TB) *engine {
	tb.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			tb.Skipf("the real engine cannot run: %s is not on PATH", tool)
		}
	}
	state, home := tb.TempDir(), tb.TempDir()
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return !passedOn.MatchString(name)
	})
	return &engine{state: state, env: append(env,
		"TMPDIR="+tb.TempDir(),
		"PULUMI_HOME="+home,
		"PULUMI_BACKEND_URL=file://"+filepath.ToSlash(state),
		"PULUMI_CONFIG_PASSPHRASE=of a test",
		"PULUMI_SKIP_UPDATE_CHECK=true",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true",
		"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
		"AWS_SECRET_ACCESS_KEY=made-up",
		"AWS_CONFIG_FILE="+os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
	)}
}

// passedOn are the variables that a run may see: what the go command needs,
// also behind a company's proxy. No credentials are among them.
var passedOn = regexp.MustCompile(`^(PATH|HOME|LANG|XDG_CACHE_HOME|CGO_ENABLED|GO[A-Z0-9_]*|SSL_CERT_(FILE|DIR)|(?i:(https?|no|all)_proxy))$`)

// project is a folder with a Pulumi project.
type project struct {
	*engine
	dir string
}

// clone copies the sources of this project into a folder of their own.
func (e *engine) clone(tb testing.TB) project {
	tb.Helper()
	p := project{e, tb.TempDir()}
	p.copy(tb, "Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml", "go.mod", "go.sum", "handlers", "infra")
	return p
}

// copy copies files and folders of this project.
func (p project) copy(tb testing.TB, names ...string) {
	tb.Helper()
	root, err := bundle.FindRoot()
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		from := filepath.Join(root, name)
		info, err := os.Stat(from)
		if err == nil && info.IsDir() {
			err = os.CopyFS(filepath.Join(p.dir, name), os.DirFS(from))
		} else if err == nil {
			var data []byte
			if data, err = os.ReadFile(from); err == nil {
				p.write(tb, name, string(data))
			}
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func (p project) read(tb testing.TB, name string) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

func (p project) write(tb testing.TB, name, text string) {
	tb.Helper()
	path := filepath.Join(p.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// try runs the CLI with more variables, and returns what it wrote and whether
// it ended well.
func (p project) try(tb testing.TB, env []string, args ...string) (stdout, stderr string, ok bool) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "pulumi", append(args, "--non-interactive", "--color=never")...)
	cmd.Dir, cmd.Env = p.dir, append(slices.Clip(p.env), env...)
	// An interrupted engine ends the programs and plugins that it has started.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	failure := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](failure); failure != nil && !exited {
		tb.Fatalf("pulumi %s: %v", strings.Join(args, " "), failure)
	}
	return out.String(), err.String(), failure == nil
}

// pulumi runs the CLI, which must end well, and returns its standard output.
func (p project) pulumi(tb testing.TB, args ...string) string {
	tb.Helper()
	stdout, stderr, ok := p.try(tb, nil, args...)
	if !ok {
		tb.Fatalf("pulumi %s failed:\n%s%s", strings.Join(args, " "), stdout, stderr)
	}
	return stdout
}

// refused runs the CLI, which must not end well, and returns all it wrote.
func (p project) refused(tb testing.TB, args ...string) string {
	tb.Helper()
	stdout, stderr, ok := p.try(tb, nil, args...)
	if ok {
		tb.Fatalf("pulumi %s should have failed:\n%s%s", strings.Join(args, " "), stdout, stderr)
	}
	return stdout + stderr
}

func (p project) init(tb testing.TB, stack string) {
	tb.Helper()
	p.pulumi(tb, "stack", "init", stack)
}

// set sets keys of the configuration in turn with their values.
func (p project) set(tb testing.TB, name string, keysAndValues ...string) {
	tb.Helper()
	args := []string{"config", "set-all", "--stack", name}
	for pair := range slices.Chunk(keysAndValues, 2) {
		args = append(args, "--plaintext", stack.Namespace+":"+pair[0]+"="+pair[1])
	}
	p.pulumi(tb, args...)
}

func (p project) up(tb testing.TB, stack string) {
	tb.Helper()
	p.pulumi(tb, "up", "--stack", stack, "--yes", "--skip-preview")
}

// unchanged fails the test unless a preview has nothing to do.
func (p project) unchanged(tb testing.TB, stack string) {
	tb.Helper()
	p.pulumi(tb, "preview", "--stack", stack, "--diff", "--expect-no-changes")
}

// resource is a resource in the state of a stack.
type resource struct {
	URN, Type, ID string
	Protect       bool
	Outputs       map[string]any
}

// name is the logical name.
func (r resource) name() string { return r.URN[strings.LastIndex(r.URN, "::")+2:] }

// inCloud tells resources of a cloud from components and providers.
func (r resource) inCloud() bool {
	return strings.HasPrefix(r.Type, "aws:") || strings.HasPrefix(r.Type, "random:")
}

// resources are all in the state of a stack. With secrets, their outputs have
// them in plain.
func (p project) resources(tb testing.TB, stack string, secrets bool) []resource {
	tb.Helper()
	args := []string{"stack", "export", "--stack", stack}
	if secrets {
		args = append(args, "--show-secrets")
	}
	var export struct {
		Deployment struct{ Resources []resource }
	}
	decode(tb, p.pulumi(tb, args...), &export)
	return export.Deployment.Resources
}

// giveStream puts the ARN of the table's stream into the state of a stack, as
// AWS's provider does when it makes the table and a stand-in may not.
func (p project) giveStream(tb testing.TB, stack string) {
	tb.Helper()
	var state map[string]any
	decode(tb, p.pulumi(tb, "stack", "export", "--stack", stack), &state)
	tables := 0
	for _, r := range state["deployment"].(map[string]any)["resources"].([]any) {
		if r := r.(map[string]any); r["type"] == "aws:dynamodb/table:Table" {
			outputs := r["outputs"].(map[string]any)
			outputs["streamArn"] = fmt.Sprint(outputs["arn"], "/stream/2026-04-03T10:00:00.000")
			tables++
		}
	}
	if tables != 1 {
		tb.Fatalf("%d tables in the state of %s", tables, stack)
	}
	data, err := json.Marshal(state)
	if err != nil {
		tb.Fatal(err)
	}
	p.write(tb, "state.json", string(data))
	p.pulumi(tb, "stack", "import", "--stack", stack, "--file", "state.json")
}

// destroyed fails the test unless the stack's state is empty.
func (p project) destroyed(tb testing.TB, stack string) {
	tb.Helper()
	for _, r := range p.resources(tb, stack, false) {
		tb.Errorf("%s is still in the state", r.URN)
	}
}

// changes are the resources that are not left as they are: "type name" → the
// inputs that change, or the operation if it is not an update.
type changes map[string][]string

func (c changes) add(op, urn string, inputs []string) {
	if op == "same" {
		return
	}
	if op != "update" {
		inputs = []string{op}
	}
	parts := strings.Split(urn, "::")
	kind := parts[2][strings.LastIndex(parts[2], "$")+1:]
	c[kind+" "+parts[3]] = slices.Sorted(slices.Values(inputs))
}

// unknown is what a preview writes for an input that only an update will know
// (plugin.UnknownStringValue of Pulumi's Go SDK).
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

// preview returns what a preview says will change. What may change only because
// a provider does not know beforehand the output of a changed resource, such as
// its ARN, is left out: apply has the last word on it.
func (p project) preview(tb testing.TB, stack string) changes {
	tb.Helper()
	var plan struct {
		Steps []struct {
			Op, URN     string
			DiffReasons []string
			NewState    struct{ Inputs map[string]any }
		}
	}
	decode(tb, p.pulumi(tb, "preview", "--stack", stack, "--json"), &plan)
	if len(plan.Steps) == 0 {
		tb.Fatal("a preview without a step")
	}
	c := changes{}
	for _, s := range plan.Steps {
		known := slices.DeleteFunc(s.DiffReasons, func(input string) bool { return s.NewState.Inputs[input] == unknown })
		if s.Op == "update" && len(known) == 0 {
			continue
		}
		c.add(s.Op, s.URN, known)
	}
	return c
}

// apply returns what an update changes.
func (p project) apply(tb testing.TB, stack string) changes {
	tb.Helper()
	c, steps := changes{}, 0
	events := json.NewDecoder(strings.NewReader(p.pulumi(tb, "up", "--stack", stack, "--yes", "--skip-preview", "--json")))
	for events.More() {
		var event struct {
			ResourcePreEvent *struct {
				Metadata struct {
					Op, URN string
					Diffs   []string
				}
			}
		}
		if err := events.Decode(&event); err != nil {
			tb.Fatal(err)
		}
		if e := event.ResourcePreEvent; e != nil {
			c.add(e.Metadata.Op, e.Metadata.URN, e.Metadata.Diffs)
			steps++
		}
	}
	if steps == 0 {
		tb.Fatal("an update without a step")
	}
	return c
}

// call is a call between the engine, the program and the providers.
type call struct {
	Method   string
	Progress string
	Request  struct {
		URN, Tok string
	}
}

// calls runs the CLI, which must end well, and returns the calls of that run.
func (p project) calls(tb testing.TB, args ...string) []call {
	tb.Helper()
	log := filepath.Join(tb.TempDir(), "calls.json")
	if stdout, stderr, ok := p.try(tb, []string{"PULUMI_DEBUG_GRPC=" + log}, args...); !ok {
		tb.Fatalf("pulumi %s failed:\n%s%s", strings.Join(args, " "), stdout, stderr)
	}
	f, err := os.Open(log)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var all []call
	for d := json.NewDecoder(f); d.More(); {
		var c call
		if err := d.Decode(&c); err != nil {
			tb.Fatal(err)
		}
		if c.Progress == "request_started" { // each has a second line for its response
			all = append(all, c)
		}
	}
	return all
}

func decode(tb testing.TB, text string, into any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		tb.Fatalf("%v in %s", err, text)
	}
}
