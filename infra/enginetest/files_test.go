package enginetest_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The stack files that people start from make a stack as they are.
func TestExamples(t *testing.T) {
	t.Parallel()
	p := newEngine(t).clone(t)
	files, err := filepath.Glob(filepath.Join(p.dir, "infra/stack/examples/Pulumi.*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%q: %v", files, err)
	}
	for _, file := range files {
		base := filepath.Base(file)
		name := strings.TrimSuffix(strings.TrimPrefix(base, "Pulumi."), ".yaml")
		p.write(t, base, p.read(t, filepath.Join("infra/stack/examples", base)))
		p.init(t, name)
		planned := p.preview(t, name)
		for part, ops := range planned {
			if !slices.Equal(ops, []string{"create"}) {
				t.Errorf("%s: %v of %s", name, ops, part)
			}
		}
		for _, function := range []string{"dispatch", "webhook", "sweep"} {
			if planned["aws:lambda/function:Function ittybit-"+name+"-"+function] == nil {
				t.Errorf("%s: no %s in %v", name, function, planned)
			}
		}
	}
}

// A stack file with ten mistakes gets ten answers in one run.
func TestMistakes(t *testing.T) {
	t.Parallel()
	p := newEngine(t).clone(t)
	p.write(t, "Pulumi.broken.yaml", `config:
  aws:region: us-east-1
  ittybit-media:bucketname: media
  ittybit-media:connectionPlacement: header
  ittybit-media:outputPrefix: out
  ittybit-media:dailyJobLimit: many
  ittybit-media:overdueAfter: 30
  ittybit-media:resultTtlDays: 7
  ittybit-media:memoryMb: 64
  ittybit-media:protect: perhaps
  ittybit-media:tags: { stack: mine }
  ittybit-media:routes:
    - suffixes: [.mov]
      jobs:
        - { name: video, kind: video, options: { quality: "80" } }
`)
	p.init(t, "broken")
	for _, args := range [][]string{{"preview"}, {"up", "--yes", "--skip-preview"}} {
		text := p.refused(t, append(args, "--stack", "broken")...)
		for _, path := range []string{
			"bucketname", "connectionPlacement", "outputPrefix", "dailyJobLimit", "overdueAfter", "resultTtlDays",
			"memoryMb", "protect", "tags.stack", "routes[0].jobs[0].options.quality",
		} {
			if !regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(path) + `: .`).MatchString(text) {
				t.Errorf("pulumi %s says nothing of %s:\n%s", args[0], path, text)
			}
		}
		if !strings.Contains(text, "Pulumi.broken.yaml") {
			t.Errorf("pulumi %s does not say where the mistakes are", args[0])
		}
	}
	for _, r := range p.resources(t, "broken", false) {
		if r.inCloud() {
			t.Errorf("%s was made", r.URN)
		}
	}
}
