package bundle_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ittybit-media/infra/bundle"
)

// TestNothingToDoNeedsNoGo takes the go command away after the first build.
func TestNothingToDoNeedsNoGo(t *testing.T) {
	o := bundle.Options{Root: newModule(t, nil), Target: target, Files: routes("1")}
	first := build(t, o)
	t.Setenv("PATH", t.TempDir())
	if second := build(t, o); !maps.Equal(first, second) {
		t.Errorf("archives = %v, want %v", second, first)
	}
	o.Files = routes("2")
	if other := build(t, o); other["a"] == first["a"] {
		t.Error("other files in the zip, and the same zip")
	}
}

// TestWhateverCouldChangeABinaryIsNoticed builds, changes something, takes the
// go command away and sees that it is missed.
func TestWhateverCouldChangeABinaryIsNoticed(t *testing.T) {
	shared := "handlers/shared/shared.go"
	for name, tt := range map[string]struct {
		before map[string]string // of the module's files
		change func(root string, o *bundle.Options)
	}{
		"a handler's code": {nil, func(root string, _ *bundle.Options) {
			write(t, filepath.Join(root, "handlers/a/main.go"), source["handlers/a/main.go"]+"\nvar X = 1\n")
		}},
		"a package of both": {nil, func(root string, _ *bundle.Options) {
			write(t, filepath.Join(root, shared), strings.Replace(source[shared], "hello", "good day", 1))
		}},
		"a new file": {nil, func(root string, _ *bundle.Options) {
			write(t, filepath.Join(root, "handlers/shared/init.go"), "package shared\n\nfunc init() { word = \"new\" }\n")
		}},
		"a file less": {map[string]string{"handlers/shared/init.go": "package shared\n\nfunc init() { word = \"new\" }\n"}, func(root string, _ *bundle.Options) {
			remove(t, filepath.Join(root, "handlers/shared/init.go"))
		}},
		"go.mod": {nil, func(root string, _ *bundle.Options) {
			write(t, filepath.Join(root, "go.mod"), "module example.test/m\n\ngo 1.26.0\n")
		}},
		"a new handler": {nil, func(root string, _ *bundle.Options) {
			write(t, filepath.Join(root, "handlers/c/main.go"), "package main\n\nfunc main() {}\n")
		}},
		"another architecture": {nil, func(_ string, o *bundle.Options) { o.Target = bundle.Lambda("arm64") }},
		"a binary gone": {nil, func(root string, _ *bundle.Options) {
			remove(t, filepath.Join(root, ".build", target.String(), "b"))
		}},
		"a binary damaged": {nil, func(root string, _ *bundle.Options) {
			path := filepath.Join(root, ".build", target.String(), "b")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 1
			write(t, path, string(data))
		}},
		"an embedded file": {map[string]string{
			"handlers/shared/embed.go":       "package shared\n\nimport _ \"embed\"\n\n//go:embed texts/word.txt\nvar Embedded string\n",
			"handlers/shared/texts/word.txt": "one",
		}, func(root string, _ *bundle.Options) {
			write(t, filepath.Join(root, "handlers/shared/texts/word.txt"), "two")
		}},
		"a module in a folder": {map[string]string{
			"go.mod":             "module example.test/m\n\ngo 1.26.0\n\nrequire example.test/other v0.0.0\n\nreplace example.test/other => ./other\n",
			"other/go.mod":       "module example.test/other\n\ngo 1.26.0\n",
			"other/other.go":     "package other\n\nvar Word = \"one\"\n",
			"handlers/a/main.go": "package main\n\nimport \"example.test/other\"\n\nfunc main() { println(other.Word) }\n",
		}, func(root string, _ *bundle.Options) {
			write(t, filepath.Join(root, "other/other.go"), "package other\n\nvar Word = \"two\"\n")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := bundle.Options{Root: newModule(t, tt.before), Target: target}
			build(t, o)
			tt.change(o.Root, &o)
			t.Setenv("PATH", t.TempDir())
			if _, err := bundle.Build(t.Context(), o); err == nil || !strings.Contains(err.Error(), "the go command is needed") {
				t.Errorf("it was not compiled again: %v", err)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
