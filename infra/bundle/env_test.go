package bundle_test

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ittybit-media/infra/bundle"
)

// A Lambda's bytes must not depend on who compiles it. Each of these settings
// changes the binary, or stops the go command, when it is let through.
func TestCallersSettingsDoNotReachLambda(t *testing.T) {
	lambdas := []bundle.Target{target, bundle.Lambda("arm64")}
	root := newModule(t, nil)
	compile := func(t *testing.T, target bundle.Target) [sha256.Size]byte {
		o := bundle.Options{Root: root, Dir: t.TempDir(), Target: target}
		binaries, err := bundle.Compile(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		binary, err := os.ReadFile(binaries["a"])
		if err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(binary)
	}
	want := map[bundle.Target][sha256.Size]byte{}
	for _, target := range lambdas {
		want[target] = compile(t, target)
	}

	goEnv := filepath.Join(t.TempDir(), "env")
	write(t, goEnv, "GOEXPERIMENT=nodwarf5\n")
	tests := []struct{ name, value string }{
		{"GOENV", goEnv},
		{"GOFLAGS", "-gcflags=-N"},
		{"GOAMD64", "v3"},
		{"GOARM64", "v9.0"},
		{"CGO_ENABLED", "1"},
		{"GOOS", "windows"},
		{"GOARCH", "386"},
		{"GOEXPERIMENT", "nodwarf5"},
		{"GOFIPS140", "latest"},
		{"GO_EXTLINK_ENABLED", "1"},
		{"GO111MODULE", "off"},
		{"GOWORK", filepath.Join(root, "nowhere", "go.work")},
		{"GOTOOLCHAIN", "go1.20"},
		{"GOROOT", filepath.Join(root, "nowhere")},
	}
	for _, test := range tests {
		t.Run(test.name+"="+filepath.Base(test.value), func(t *testing.T) {
			t.Setenv(test.name, test.value)
			for _, target := range lambdas {
				if compile(t, target) != want[target] {
					t.Errorf("%s: the binary changed", target)
				}
			}
		})
	}
}

func TestModuleProxyOfGoEnvReachesLambda(t *testing.T) {
	proxy := filepath.Join(t.TempDir(), "the-company's-proxy")
	goEnv := filepath.Join(t.TempDir(), "env")
	write(t, goEnv, "GOPROXY=file://"+proxy+"\nGOSUMDB=off\n")
	t.Setenv("GOENV", goEnv)
	t.Setenv("GOPROXY", "")
	root := newModule(t, map[string]string{
		"go.sum":             "example.test/dependency v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"handlers/a/main.go": "package main\n\nimport _ \"example.test/dependency\"\n\nfunc main() {}\n",
	})
	gomod := filepath.Join(root, "go.mod")
	text, err := os.ReadFile(gomod)
	if err != nil {
		t.Fatal(err)
	}
	write(t, gomod, string(text)+"\nrequire example.test/dependency v1.0.0\n")
	_, err = bundle.Build(t.Context(), bundle.Options{Root: root, Target: target})
	if err == nil || !strings.Contains(err.Error(), filepath.Base(proxy)) {
		t.Errorf("error = %v, want one from the proxy %s", err, proxy)
	}
}

func TestHostKeepsCallersSettings(t *testing.T) {
	t.Setenv("GOFLAGS", "-gcflags=-N")
	t.Setenv("CGO_ENABLED", "0")
	o := bundle.Options{Root: newModule(t, nil), Target: bundle.Host()}
	binaries, err := bundle.Compile(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, binaries["a"]); got != "a hello\n" {
		t.Errorf("a prints %q", got)
	}
	if got := run(t, binaries["b"]); got != "b hello\n" {
		t.Errorf("b prints %q", got)
	}
	settings, err := exec.CommandContext(t.Context(), "go", "version", "-m", binaries["a"]).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CGO_ENABLED=0", "-gcflags=-N", "-tags=lambda.norpc"} {
		if !strings.Contains(string(settings), want) {
			t.Errorf("a was compiled without %s:\n%s", want, settings)
		}
	}
	if strings.Contains(string(settings), "-trimpath") {
		t.Errorf("a was compiled with -trimpath, so nothing in the build cache fits:\n%s", settings)
	}
}

func TestLambdaAndHostShareAFolder(t *testing.T) {
	t.Parallel()
	dir, root := t.TempDir(), newModule(t, nil)
	lambda, err := bundle.Compile(t.Context(), bundle.Options{Root: root, Dir: dir, Target: target})
	if err != nil {
		t.Fatal(err)
	}
	host, err := bundle.Compile(t.Context(), bundle.Options{Root: root, Dir: dir, Target: bundle.Host()})
	if err != nil {
		t.Fatal(err)
	}
	if lambda["a"] == host["a"] {
		t.Errorf("both targets' binary is %s", host["a"])
	}
}

func TestRootIsFoundUpwards(t *testing.T) {
	root := newModule(t, nil)
	t.Chdir(filepath.Join(root, "handlers", "shared"))
	found, err := bundle.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	if found != root {
		t.Errorf("FindRoot = %s, want %s", found, root)
	}
	binaries, err := bundle.Compile(t.Context(), bundle.Options{Target: bundle.Host()})
	if err != nil {
		t.Fatal(err)
	}
	if len(binaries) != 2 || !filepath.IsAbs(binaries["b"]) {
		t.Fatalf("binaries = %v, want the absolute paths of a and b", binaries)
	}
	if got := run(t, binaries["b"]); got != "b hello\n" {
		t.Errorf("b prints %q", got)
	}
}

func TestCancelStopsTheGoCommand(t *testing.T) {
	for _, target := range []bundle.Target{target, bundle.Host()} {
		t.Run(target.String(), func(t *testing.T) {
			started := fakeGo(t)
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error, 1)
			go func() {
				_, err := bundle.Compile(ctx, bundle.Options{Root: newModule(t, nil), Target: target})
				result <- err
			}()
			goCommand, err := started.Accept()
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			last, err := io.ReadAll(goCommand)
			if err != nil {
				t.Fatal(err)
			}
			if string(last) != interrupted {
				t.Errorf("the go command's last words are %q, want %q", last, interrupted)
			}
			if err := <-result; !isCanceled(err) {
				t.Errorf("error = %v, want context.Canceled", err)
			}
		})
	}
}

func run(t testing.TB, binary string) (printed string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
