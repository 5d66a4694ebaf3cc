package localpipeline_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/bundle"
	"ittybit-media/scripts/localaws/lambda"
)

// maxInit is how much longer than an empty handler's the init of ours may take.
const maxInit = 2.2

// BenchmarkInit measures, for Lambda's own build of each handler, the time from
// the start of the process to its first request for work at the Runtime API,
// beside a handler that does nothing. The runs alternate, so that what else the
// machine does falls on all of them; the medians are compared.
func BenchmarkInit(b *testing.B) {
	architecture, ok := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	if !ok || runtime.GOOS != "linux" {
		b.Skipf("Lambda's builds do not run on %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	target := bundle.Lambda(architecture)
	handlers, err := bundle.Compile(b.Context(), bundle.Options{Target: target})
	if err != nil {
		b.Fatal(err)
	}
	empty, err := bundle.Compile(b.Context(), bundle.Options{Root: emptyModule(b), Dir: b.TempDir(), Target: target})
	if err != nil {
		b.Fatal(err)
	}
	routes, err := media.DefaultRoutes().JSON()
	if err != nil {
		b.Fatal(err)
	}
	root := b.TempDir()
	if err := os.WriteFile(filepath.Join(root, media.RoutesFile), routes, 0o600); err != nil {
		b.Fatal(err)
	}
	p := start(b, nil)
	start := func(name, binary string) *lambda.Function {
		f, err := lambda.Start(b.Context(), lambda.Config{
			Name: name, ARN: "arn:aws:lambda:us-east-1:000000000000:function:" + name, Binary: binary, Dir: root, MaxConcurrency: 1,
			Env: p.FunctionEnv(name),
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(f.Close)
		return f
	}
	names := []string{"empty", "webhook", "dispatch", "sweep"}
	functions := map[string]*lambda.Function{
		"empty":    start("empty", empty["empty"]),
		"webhook":  start("webhook", handlers["webhook"]),
		"dispatch": start("dispatch", handlers["dispatch"]),
		"sweep":    start("sweep", handlers["sweep"]),
	}
	times := map[string][]time.Duration{}
	for b.Loop() {
		for _, name := range names {
			f := functions[name]
			took, err := f.Check(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			f.Kill()
			times[name] = append(times[name], took)
		}
	}
	median := func(name string) time.Duration {
		slices.Sort(times[name])
		return times[name][len(times[name])/2]
	}
	floor := median("empty")
	for _, name := range names {
		m := median(name)
		b.ReportMetric(float64(m.Microseconds())/1000, name+"-ms")
		if name == "empty" {
			continue
		}
		ratio := float64(m) / float64(floor)
		b.ReportMetric(ratio, name+"/empty")
		if ratio > maxInit && b.N >= 20 {
			b.Errorf("%s takes %.2f × the empty handler's init; at most %.1f × is wanted", name, ratio, maxInit)
		}
	}
	b.ReportMetric(0, "ns/op") // of all three together: it means nothing
}

// emptyModule is a module with one handler that does nothing, with the same
// dependencies as ours.
func emptyModule(b *testing.B) string {
	b.Helper()
	root, err := bundle.FindRoot()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	main := filepath.Join(dir, "handlers", "empty", "main.go")
	if err := os.MkdirAll(filepath.Dir(main), 0o700); err != nil {
		b.Fatal(err)
	}
	const source = `package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() error { return nil }) }
`
	if err := os.WriteFile(main, []byte(source), 0o600); err != nil {
		b.Fatal(err)
	}
	return dir
}
