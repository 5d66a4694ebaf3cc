package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"

	"ittybit-media/infra/bundle"
	"ittybit-media/scripts/internal/operator"
)

// oldestPulumi is the first CLI that reads this project: Pulumi.yaml declares
// its configuration ("3.44.0", CHANGELOG of pulumi/pulumi). Any from then on
// speaks with the SDK, and tells the program what it does not know.
const oldestPulumi = "v3.44.0"

// pulumiSDK is the module with which the program is compiled.
const pulumiSDK = "github.com/pulumi/pulumi/sdk/v3"

const getPulumi = "install the newest (https://www.pulumi.com/docs/install/)"

func (s *subject) goTool(ctx context.Context) []finding {
	version, err := bundle.Toolchain(ctx, s.call.Root)
	if err != nil {
		return bad("see that the go command on PATH is new enough (https://go.dev/dl), or can fetch it", "%v", err)
	}
	return good("%s compiles the handlers", version)
}

func (s *subject) pulumi(ctx context.Context) []finding {
	if s.local() {
		return skipped("a local run needs no Pulumi")
	}
	out, err := operator.Pulumi(ctx, s.call.Root, "version")
	if err != nil {
		return bad(getPulumi, "%v", err)
	}
	version := strings.TrimSpace(string(out))
	sdk, err := s.sdkVersion()
	if err != nil {
		return bad("restore go.mod", "%v", err)
	}
	switch {
	case !semver.IsValid(version):
		return doubtful(getPulumi, "it does not tell its version: %s", version)
	case semver.Compare(version, oldestPulumi) < 0:
		return bad(getPulumi, "%s is too old to read Pulumi.yaml; %s can", version, oldestPulumi)
	case semver.Compare(version, sdk) < 0 || semver.Major(version) != semver.Major(sdk):
		return doubtful(getPulumi, "%s is not what the program is made for: its SDK is %s", version, sdk)
	}
	return good("%s", version)
}

// sdkVersion returns the version of the Pulumi SDK in go.mod.
func (s *subject) sdkVersion() (string, error) {
	file := filepath.Join(s.call.Root, "go.mod")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	mod, err := modfile.ParseLax(file, text, nil)
	if err != nil {
		return "", err
	}
	for _, r := range mod.Require {
		if r.Mod.Path == pulumiSDK {
			return r.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", file, pulumiSDK)
}

// login tells whether the CLI has a backend to keep the stack's state in. The
// stack need not be there yet.
func (s *subject) login(ctx context.Context) []finding {
	if s.local() {
		return skipped("a local run needs no Pulumi")
	}
	out, err := operator.Pulumi(ctx, s.call.Root, "whoami", "--json")
	switch {
	case errors.Is(err, operator.ErrNoPulumi):
		return skipped("it needs Pulumi")
	case err != nil:
		return bad("pulumi login, or set PULUMI_ACCESS_TOKEN or PULUMI_BACKEND_URL", "%v", err)
	}
	var who struct{ User, URL string }
	if err := json.Unmarshal(out, &who); err != nil {
		return doubtful("see what pulumi whoami says", "pulumi whoami --json does not answer in JSON")
	}
	backend, err := url.Parse(who.URL)
	if err != nil {
		return good("%s", who.User)
	}
	return good("%s at %s", who.User, backend.Redacted())
}
