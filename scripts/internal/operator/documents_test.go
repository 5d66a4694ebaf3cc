package operator_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

const root = "../../.."

var (
	mdLink        = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	mdHeading     = regexp.MustCompile(`(?m)^#+ (.+)$`)
	goRun         = regexp.MustCompile(`go run \./([a-z/]+)((?: -[a-z][a-z-]*)*)`)
	testName      = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)`")
	testMade      = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)\(`)
	inCode        = regexp.MustCompile("(?s)```.*?```")
	notInAnAnchor = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// documents are the project's, by path from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil || len(paths) == 0 {
		t.Fatal("there are no documents", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = string(text)
	}
	return all
}

// anchors are those that GitHub makes of a document's headings.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range mdHeading.FindAllStringSubmatch(inCode.ReplaceAllString(text, ""), -1) {
		anchor := strings.ToLower(notInAnAnchor.ReplaceAllString(m[1], ""))
		anchor = strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) {
				return '-'
			}
			return r
		}, anchor)
		all[anchor] = true
	}
	return all
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := documents(t)
	for name, text := range all {
		for _, m := range mdLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			if path == "" {
				path = name
			}
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Errorf("%s: there is no %s", name, m[1])
			} else if target, ok := all[path]; ok && anchor != "" && !anchors(target)[anchor] {
				t.Errorf("%s: %s has no heading %s", name, path, anchor)
			}
		}
	}
}

func TestCommandsInDocumentsAreThere(t *testing.T) {
	t.Parallel()
	for name, text := range documents(t) {
		for _, m := range goRun.FindAllStringSubmatch(text, -1) {
			sources, _ := filepath.Glob(filepath.Join(root, m[1], "*.go"))
			if len(sources) == 0 {
				t.Errorf("%s: there is no ./%s to run", name, m[1])
				continue
			}
			// The flags that follow are declared there, or for every script.
			var code strings.Builder
			shared, _ := filepath.Glob("../*/*.go")
			for _, source := range append(sources, shared...) {
				text, err := os.ReadFile(source)
				if err != nil {
					t.Fatal(err)
				}
				code.Write(text)
			}
			for _, flag := range strings.Fields(m[2]) {
				if !strings.Contains(code.String(), fmt.Sprintf("%q", flag[1:])) && flag != "-h" {
					t.Errorf("%s: %s has no flag %s", name, m[1], flag)
				}
			}
		}
	}
}

func TestTestsInDocumentsAreThere(t *testing.T) {
	t.Parallel()
	made := map[string]bool{}
	if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range testMade.FindAllSubmatch(text, -1) {
			made[string(m[1])] = true
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for name, text := range documents(t) {
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			if !made[m[1]] {
				t.Errorf("%s: there is no %s", name, m[1])
			}
		}
	}
}
