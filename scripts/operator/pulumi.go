package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/stack"
)

// pulumiOutputs asks the Pulumi CLI for a stack's outputs.
func pulumiOutputs(ctx context.Context, root, name string) (stack.Outputs, error) {
	cmd := exec.CommandContext(ctx, "pulumi", "stack", "output", "--json", "--non-interactive", "--stack", name)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return stack.Outputs{}, errors.New("pulumi is not on PATH: install it (https://www.pulumi.com/docs/install/), or work on a local run with -local")
	case ctx.Err() != nil:
		return stack.Outputs{}, ctx.Err()
	case err != nil:
		return stack.Outputs{}, pulumiFailure(name, stderr.String(), err)
	}
	var o stack.Outputs
	if err := json.Unmarshal(out, &o); err != nil {
		return stack.Outputs{}, fmt.Errorf("stack %s: its outputs are not those of this version: %w; run pulumi up --stack %s", name, err, name)
	}
	if missing := o.Missing(); len(missing) > 0 {
		return stack.Outputs{}, fmt.Errorf("stack %s has no output %s: it was not deployed, or by an older version; run pulumi up --stack %s", name, strings.Join(missing, ", "), name)
	}
	return o, nil
}

// pulumiFailure says what to do about the failures that people meet.
func pulumiFailure(name, stderr string, err error) error {
	said := media.Redact(strings.TrimSpace(stderr))
	hint := "see what the Pulumi CLI says"
	switch {
	case strings.Contains(stderr, "no stack named"):
		hint = fmt.Sprintf("pulumi stack ls shows the stacks of this backend; pulumi stack init %s && pulumi up makes it", name)
	case strings.Contains(stderr, "passphrase"):
		hint = "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE"
	case strings.Contains(stderr, "pulumi login"), strings.Contains(stderr, "PULUMI_ACCESS_TOKEN"):
		hint = "run pulumi login"
	}
	return fmt.Errorf("the outputs of stack %s cannot be read: %s: %w\n%s", name, hint, err, said)
}
