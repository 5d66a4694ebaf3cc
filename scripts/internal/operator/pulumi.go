package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/stack"
)

// The errors of the Pulumi CLI that a script may go on after.
var (
	// ErrNoPulumi means that there is no Pulumi CLI.
	ErrNoPulumi = errors.New("pulumi is not on PATH: install it (https://www.pulumi.com/docs/install/), or work on a local run with -local")
	// ErrNotDeployed means that there is no stack of that name, or nothing in it.
	ErrNotDeployed = errors.New("it is not deployed")
)

// stopTime is how long an interrupted CLI, and what it has started, may take to
// end.
const stopTime = 3 * time.Second

// Pulumi runs the Pulumi CLI in the folder of the project and returns what it
// prints. It must be a command that only looks. The error says what to do.
func Pulumi(ctx context.Context, root string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "pulumi", append(args, "--non-interactive")...)
	cmd.Dir, cmd.WaitDelay = root, stopTime
	cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, ErrNoPulumi
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, pulumiFailure(stderr.String(), err)
	}
	return out, nil
}

// pulumiFailure says what to do about the failures that people meet.
func pulumiFailure(stderr string, err error) error {
	said := media.Redact(strings.TrimSpace(stderr))
	hint := "see what the Pulumi CLI says"
	switch {
	case strings.Contains(stderr, "no stack named"):
		return fmt.Errorf("%w; pulumi stack ls shows the stacks of this backend: %w\n%s", ErrNotDeployed, err, said)
	case strings.Contains(stderr, "passphrase"):
		hint = "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE"
	case strings.Contains(stderr, "pulumi login"), strings.Contains(stderr, "PULUMI_ACCESS_TOKEN"):
		hint = "run pulumi login"
	}
	return fmt.Errorf("%s: %w\n%s", hint, err, said)
}

// pulumiOutputs asks the Pulumi CLI for a stack's outputs.
func pulumiOutputs(ctx context.Context, root, name string) (stack.Outputs, error) {
	out, err := Pulumi(ctx, root, "stack", "output", "--json", "--stack", name)
	switch {
	case errors.Is(err, ErrNotDeployed):
		return stack.Outputs{}, fmt.Errorf("pulumi stack init %[1]s && pulumi up makes stack %[1]s: %[2]w", name, err)
	case err != nil:
		return stack.Outputs{}, fmt.Errorf("the outputs of stack %s cannot be read: %w", name, err)
	}
	var o stack.Outputs
	if err := json.Unmarshal(out, &o); err != nil {
		return stack.Outputs{}, fmt.Errorf("stack %s: its outputs are not those of this version: %w; run pulumi up --stack %s", name, err, name)
	}
	missing := o.Missing()
	switch {
	case len(missing) > 0 && o.Region == "":
		return stack.Outputs{}, fmt.Errorf("stack %s has no outputs: %w; run pulumi up --stack %s", name, ErrNotDeployed, name)
	case len(missing) > 0:
		return stack.Outputs{}, fmt.Errorf("stack %s has no output %s: an older version deployed it; run pulumi up --stack %s", name, strings.Join(missing, ", "), name)
	}
	return o, nil
}
