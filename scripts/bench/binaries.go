package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"

	"ittybit-media/infra/bundle"
)

// empty is the baseline of cold starts: a handler that does nothing, of the same
// build.
const empty = "empty"

const emptyHandler = `package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() error { return nil }) }
`

// compile builds the handlers and the empty one, and returns their paths.
func (b *bench) compile(ctx context.Context) (map[string]string, error) {
	target := b.target()
	binaries, err := bundle.Compile(ctx, bundle.Options{Root: b.root, Target: target})
	if err != nil {
		return nil, err
	}
	root, err := b.emptyModule()
	if err != nil {
		return nil, err
	}
	baseline, err := bundle.Compile(ctx, bundle.Options{Root: root, Target: target})
	if err != nil {
		return nil, err
	}
	binaries[empty] = baseline[empty]
	return binaries, nil
}

// target is Lambda's own build where this machine can run it, and the host's
// elsewhere.
func (b *bench) target() bundle.Target {
	switch runtime.GOOS + "/" + runtime.GOARCH {
	case "linux/amd64":
		return bundle.Lambda("x86_64")
	case "linux/arm64":
		return bundle.Lambda("arm64")
	}
	b.note("the handlers are built for %s/%s, which cannot run Lambda's builds", runtime.GOOS, runtime.GOARCH)
	return bundle.Host()
}

// emptyModule writes a module whose only handler is the empty one, with this
// module's dependencies, and returns its folder.
func (b *bench) emptyModule() (string, error) {
	root := filepath.Join(b.root, ".build", "bench")
	handler := filepath.Join(root, "handlers", empty)
	if err := os.MkdirAll(handler, 0o700); err != nil {
		return "", err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(b.root, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(root, name), data, 0o600); err != nil {
			return "", err
		}
	}
	return root, os.WriteFile(filepath.Join(handler, "main.go"), []byte(emptyHandler), 0o600)
}
