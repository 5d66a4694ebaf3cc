package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// stopTime is how long an interrupted go command may take to clean up.
const stopTime = 3 * time.Second

// compile puts the binaries of all handlers into j.dir with a single go build:
// what they share is loaded and checked once, and what is up to date is not
// linked again.
func (j *job) compile(ctx context.Context) error {
	goTool, err := j.goTool()
	if err != nil {
		return err
	}
	// On the binaries' own file system the go command moves a linked binary into
	// place; from another one it copies, and a copy cut short would pass for up
	// to date ever after.
	tmp, err := os.MkdirTemp(j.dir, ".tmp-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	env := append(os.Environ(), "GOTMPDIR="+tmp)
	// No -buildvcs: a commit that changes no handler must not change a binary.
	args := []string{"build", "-buildvcs=false", "-tags=" + buildTag, "-ldflags=-s -w", "-o", j.dir}
	if !j.target.host { // for the host, the caller's settings hold
		args = append(args, "-trimpath")
		pinned, err := j.pinnedEnv(ctx, goTool)
		if err != nil {
			return err
		}
		env = append(env, pinned...)
	}
	for _, h := range j.handlers {
		args = append(args, "./"+handlersDir+"/"+h)
	}
	var stderr bytes.Buffer
	cmd := j.command(ctx, goTool, env, args...)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("compiling was stopped: %w", context.Cause(ctx))
		}
		return j.compileError(stderr.String(), err)
	}
	return nil
}

// Toolchain returns the Go that compiles the handlers of the module at root,
// such as go1.26.8, and fetches it as a compilation would if it is not there.
func Toolchain(ctx context.Context, root string) (string, error) {
	m, err := openModule(root)
	if err != nil {
		return "", err
	}
	j := &job{module: m, target: Lambda("arm64")} // any does
	goTool, err := j.goTool()
	if err != nil {
		return "", err
	}
	pinned, err := j.pinnedEnv(ctx, goTool)
	if err != nil {
		return "", err
	}
	var stderr bytes.Buffer
	cmd := j.command(ctx, goTool, append(os.Environ(), pinned...), "env", "GOVERSION")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("the go command cannot run %s: %w\n%s%s", j.toolchain, err, strings.TrimSpace(stderr.String()), j.toolchainHint(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

func (j *job) goTool() (string, error) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("the go command is needed to compile the handlers: install %s or newer (https://go.dev/dl) and put it on PATH: %w", j.toolchain, err)
	}
	return goTool, nil
}

// passedOn are the settings that say where modules come from and where
// compiled packages go. They cannot change a result, and a build behind a
// company's proxy fails without them.
var passedOn = []string{
	"GOAUTH", "GOCACHE", "GOCACHEPROG", "GOINSECURE", "GOMODCACHE", "GONOPROXY",
	"GONOSUMDB", "GOPATH", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOVCS",
}

// pinnedEnv fixes every setting that can change a binary, whatever the caller's
// environment and `go env -w` say ("go help environment").
func (j *job) pinnedEnv(ctx context.Context, goTool string) ([]string, error) {
	// Reading settings needs no other toolchain, and must not download one.
	here := append(os.Environ(), "GOTOOLCHAIN=local", "GOROOT=")
	read := j.command(ctx, goTool, here, append([]string{"env", "-json"}, passedOn...)...)
	out, err := read.Output()
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("compiling was stopped: %w", context.Cause(ctx))
		}
		return nil, fmt.Errorf("go env: %w", err)
	}
	var settings map[string]string
	if err := json.Unmarshal(out, &settings); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}

	env := []string{ // an empty value is the go command's default
		"GOENV=off", // the settings of `go env -w`
		"GOTOOLCHAIN=" + j.toolchain,
		"GOROOT=",
		"GO111MODULE=on",
		"GOWORK=off",
		"GOFLAGS=-mod=readonly",
		"GOOS=linux",
		"GOARCH=" + goarch[j.target.architecture],
		"GOARM64=v8.0",
		"GOAMD64=v1",
		"GOEXPERIMENT=",
		"GOFIPS140=off",
		"GODEBUG=",
		"CGO_ENABLED=0",
		"GO_EXTLINK_ENABLED=",
	}
	for _, name := range passedOn {
		if settings[name] != "" {
			env = append(env, name+"="+settings[name])
		}
	}
	return env, nil
}

// command is the go command in the module's root, stopped when ctx ends.
func (j *job) command(ctx context.Context, goTool string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, goTool, args...)
	cmd.Dir, cmd.Env = j.root, env
	// An interrupted go command waits for the compilers it has started; a killed
	// one leaves them behind.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTime
	return cmd
}

// compileError names the handlers that the go command's output names, or all
// where it blames something they share.
func (j *job) compileError(output string, err error) error {
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(output), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "go: downloading ")
	})
	output = strings.Join(lines, "\n")

	blamed := slices.DeleteFunc(slices.Clone(j.handlers), func(h string) bool {
		in := regexp.MustCompile(`(?m)\b` + handlersDir + `/` + regexp.QuoteMeta(h) + `(/|\s|$)`)
		return !in.MatchString(output)
	})
	if len(blamed) == 0 {
		blamed = j.handlers
	}
	return fmt.Errorf("handler %s does not compile for %s: %w\n%s%s", strings.Join(blamed, ", "), j.target, err, output, j.toolchainHint(output))
}

// toolchainHint is a line about a toolchain that, as the go command's output
// says, cannot be had; "" when it does not say so.
func (j *job) toolchainHint(output string) string {
	if !strings.Contains(output, "download "+j.toolchain) {
		return ""
	}
	return fmt.Sprintf("\ngo.mod asks for %s: install it (https://go.dev/dl) or let the go command reach its module proxy", j.toolchain)
}
