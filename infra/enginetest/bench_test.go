package enginetest_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/infra/bundle"
)

// maxPreview is how much longer than that of an empty program a preview of
// unchanged code may take.
const maxPreview = 1.5

// BenchmarkPreview measures a warm preview of dev, of which nothing changes,
// beside one of a program that makes nothing with the same packages of the
// SDKs. The runs alternate, so that what else the machine does falls on both;
// the medians are compared.
func BenchmarkPreview(b *testing.B) {
	e := newEngine(b)
	names := []string{"empty", "dev"}
	projects := map[string]project{"empty": emptyProject(b, e), "dev": e.clone(b)}
	preview := func(name string) time.Duration {
		start := time.Now()
		projects[name].pulumi(b, "preview", "--stack", name, "--expect-no-changes")
		return time.Since(start)
	}
	for _, name := range names {
		projects[name].init(b, name)
		projects[name].up(b, name)
		preview(name)
	}
	times := map[string][]time.Duration{}
	for b.Loop() {
		for _, name := range names {
			times[name] = append(times[name], preview(name))
		}
	}
	median := func(name string) time.Duration {
		slices.Sort(times[name])
		return times[name][len(times[name])/2]
	}
	dev, empty := median("dev"), median("empty")
	ratio := float64(dev) / float64(empty)
	b.ReportMetric(float64(dev.Milliseconds()), "dev-ms")
	b.ReportMetric(float64(empty.Milliseconds()), "empty-ms")
	b.ReportMetric(ratio, "dev/empty")
	if ratio > maxPreview && b.N >= 10 {
		b.Errorf("the preview of dev takes %v, %.2f × the %v of an empty program; at most %.1f × is wanted",
			dev.Round(time.Millisecond), ratio, empty.Round(time.Millisecond), maxPreview)
	}
	b.ReportMetric(0, "ns/op") // of both together: it means nothing
}

// emptyProject is a project of its own with the same dependencies as ours, the
// same packages of the SDKs, and no resource.
func emptyProject(b *testing.B, e *engine) project {
	b.Helper()
	root, err := bundle.FindRoot()
	if err != nil {
		b.Fatal(err)
	}
	list := exec.CommandContext(b.Context(), "go", "list", "-f", `{{join .Imports "\n"}}`, "./infra/...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		b.Fatal(err)
	}
	const sdk = "github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	var imports strings.Builder
	paths := strings.Fields(string(out))
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		if strings.HasPrefix(path, "github.com/pulumi/") && path != sdk {
			imports.WriteString("\t_ \"" + path + "\"\n")
		}
	}
	p := project{e, b.TempDir()}
	p.copy(b, "go.mod", "go.sum")
	p.write(b, "Pulumi.yaml", `name: empty
main: infra
runtime:
  name: go
  options:
    buildTarget: .build/infra
`)
	p.write(b, "infra/main.go", `package main

import (
	"`+sdk+`"
`+imports.String()+`)

func main() { pulumi.Run(func(*pulumi.Context) error { return nil }) }
`)
	return p
}
