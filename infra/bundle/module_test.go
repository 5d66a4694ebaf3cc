package bundle_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"ittybit-media/infra/bundle"
)

// target is compiled for in every test: one standard library to compile.
var target = bundle.Lambda("x86_64")

// source is a module with the handlers a and b, which need no package but each
// other's neighbour.
var source = map[string]string{
	"handlers/a/main.go": `package main

import "example.test/m/handlers/shared"

func main() { println("a", shared.Word()) }
`,
	"handlers/b/main.go": `package main

import "example.test/m/handlers/shared"

func main() { println("b", shared.Word()) }
`,
	"handlers/b/main_test.go": `package main_test
`,
	"handlers/shared/shared.go": `package shared

func Word() string { return word }

var word = "hello"
`,
	// A generator beside a library does not make it a handler.
	"handlers/shared/gen.go": `//go:build ignore

package main

func main() {}
`,
	"handlers/docs/README.md": "no Go here\n",
	"infra/infra.go":          "package infra\n",
}

// newModule writes source, changed by changes, into a folder of its own. Its
// go.mod asks for the same Go as this module's.
func newModule(t testing.TB, changes map[string]string) (root string) {
	t.Helper()
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	files := maps.Clone(source)
	files["go.mod"] = "module example.test/m\n\n"
	for _, line := range regexp.MustCompile(`(?m)^(go|toolchain) .*$`).FindAllString(string(gomod), -1) {
		files["go.mod"] += line + "\n"
	}
	maps.Copy(files, changes)
	root = t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(root, name), content)
	}
	return root
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func build(t testing.TB, o bundle.Options) map[string]bundle.Archive {
	t.Helper()
	archives, err := bundle.Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return archives
}

// digests maps handlers to what their zips hold, wherever those lie.
func digests(archives map[string]bundle.Archive) map[string]string {
	sums := make(map[string]string, len(archives))
	for handler, a := range archives {
		sums[handler] = a.SHA256
	}
	return sums
}

// routes are the files of handler a.
func routes(content string) map[string]map[string][]byte {
	return map[string]map[string][]byte{"a": {"routes.json": []byte(content)}}
}
