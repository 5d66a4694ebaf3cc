package bundle_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"ittybit-media/infra/bundle"
)

// TestTheRealHandlersZipTheSameAnywhere compiles everything twice from nothing,
// which takes minutes: it runs when BUNDLE_REAL is set.
func TestTheRealHandlersZipTheSameAnywhere(t *testing.T) {
	if os.Getenv("BUNDLE_REAL") == "" {
		t.Skip("BUNDLE_REAL is not set: this compiles all handlers twice from nothing")
	}
	root, err := bundle.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]map[string][]byte{"dispatch": {"routes.json": []byte(`{"routes":[]}`)}}
	build := func(root string) map[string]bundle.Archive {
		t.Setenv("GOCACHE", t.TempDir())
		archives, err := bundle.Build(t.Context(), bundle.Options{Root: root, Dir: t.TempDir(), Target: bundle.Lambda("arm64"), Files: files})
		if err != nil {
			t.Fatal(err)
		}
		return archives
	}
	other := filepath.Join(t.TempDir(), "a folder of another name")
	copyModule(t, root, other)
	here, there := build(root), build(other)
	if len(here) < 2 || len(here) != len(there) {
		t.Fatalf("%d and %d handlers", len(here), len(there))
	}
	for name, a := range here {
		if b := there[name]; a.SHA256 != b.SHA256 {
			t.Errorf("%s: %s here, %s there", name, a.SHA256, b.SHA256)
		}
		t.Logf("%s: %d bytes, SHA-256 %s", name, a.Size, a.SHA256)
	}
}

// copyModule copies what is compiled, and nothing of what was made from it.
func copyModule(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", ".build"}, rel) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
