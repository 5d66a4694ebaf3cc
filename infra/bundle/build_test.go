package bundle_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ittybit-media/infra/bundle"
)

func TestZipHoldsBootstrapAndFiles(t *testing.T) {
	t.Parallel()
	root := newModule(t, nil)
	archives := build(t, bundle.Options{Root: root, Target: target, Files: map[string]map[string][]byte{
		"a": {"routes.json": []byte(`{"routes":[]}`), "aaa/first.txt": []byte("x")},
	}})
	if got := slices.Sorted(maps.Keys(archives)); !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("handlers = %v, want a and b", got)
	}

	data, err := os.ReadFile(archives["a"].Path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if got, want := archives["a"].SHA256, hex.EncodeToString(sum[:]); got != want {
		t.Errorf("SHA256 = %s, want %s", got, want)
	}
	if archives["a"].Size != int64(len(data)) {
		t.Errorf("Size = %d, want %d", archives["a"].Size, len(data))
	}
	if root := []byte(filepath.Base(root)); bytes.Contains(data, root) {
		t.Errorf("the zip holds the module's folder %s", root)
	}

	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	type member struct {
		name string
		mode fs.FileMode
	}
	var got []member
	content := map[string][]byte{}
	for _, f := range r.File {
		got = append(got, member{f.Name, f.Mode()})
		if f.Method != zip.Deflate {
			t.Errorf("%s: method %d, want deflate", f.Name, f.Method)
		}
		if first := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC); !f.Modified.Equal(first) {
			t.Errorf("%s: time %v, want %v", f.Name, f.Modified, first)
		}
		if len(f.Extra) != 0 {
			t.Errorf("%s: extra field %x, want none", f.Name, f.Extra)
		}
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		// Read to the end: the reader then compares the checksum.
		if content[f.Name], err = io.ReadAll(rc); err != nil {
			t.Fatal(err)
		}
	}
	want := []member{{"aaa/first.txt", 0o644}, {"bootstrap", 0o755}, {"routes.json", 0o644}}
	if !slices.Equal(got, want) {
		t.Errorf("members = %v, want %v", got, want)
	}
	if s := string(content["routes.json"]); s != `{"routes":[]}` {
		t.Errorf("routes.json = %s", s)
	}
	binary, err := os.ReadFile(filepath.Join(root, ".build", target.String(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content["bootstrap"], binary) {
		t.Error("bootstrap is not the compiled handler")
	}
}

func TestSameBytesFromAnyFolder(t *testing.T) {
	t.Parallel()
	one := build(t, bundle.Options{Root: newModule(t, nil), Target: target, Files: routes("1")})
	two := build(t, bundle.Options{Root: newModule(t, nil), Dir: t.TempDir(), Target: target, Files: routes("1")})
	if !maps.Equal(digests(one), digests(two)) {
		t.Errorf("two copies differ: %v, %v", one, two)
	}
}

func TestNothingToDoTouchesNothing(t *testing.T) {
	t.Parallel()
	o := bundle.Options{Root: newModule(t, nil), Target: target, Files: routes("1")}
	first := build(t, o)
	before := look(t, filepath.Join(o.Root, ".build"))
	second := build(t, o)
	if !maps.Equal(first, second) {
		t.Errorf("archives = %v, want %v", second, first)
	}
	before.unchanged(t)
}

func TestChangedFileRepacksOneZip(t *testing.T) {
	t.Parallel()
	o := bundle.Options{Root: newModule(t, nil), Target: target, Files: routes("1")}
	one := build(t, o)
	before := look(t, filepath.Join(o.Root, ".build"))

	o.Files = routes("2")
	two := build(t, o)
	if one["a"].SHA256 == two["a"].SHA256 {
		t.Error("zip of a is the same with another routes.json")
	}
	if one["a"].Path == two["a"].Path {
		t.Error("another routes.json replaced the zip that somebody may be uploading")
	}
	if one["b"] != two["b"] {
		t.Errorf("zip of b = %v, want %v", two["b"], one["b"])
	}
	// What was there, both binaries among it, still is.
	before.unchanged(t)
}

func TestOnlyCodeThatRunsCounts(t *testing.T) {
	t.Parallel()
	o := bundle.Options{Root: newModule(t, nil), Target: target}
	one := build(t, o)
	before := look(t, filepath.Join(o.Root, ".build"))

	shared := filepath.Join(o.Root, "handlers/shared/shared.go")
	write(t, filepath.Join(o.Root, "infra/infra.go"), "// Package infra was changed.\npackage infra\n")
	write(t, shared, source["handlers/shared/shared.go"]+"\n// A remark at the end.\n")
	if two := build(t, o); !maps.Equal(one, two) {
		t.Errorf("remarks changed the zips: %v, %v", one, two)
	}
	before.unchanged(t)

	write(t, shared, strings.Replace(source["handlers/shared/shared.go"], "hello", "good day", 1))
	three := build(t, o)
	for handler := range one {
		if one[handler].SHA256 == three[handler].SHA256 {
			t.Errorf("zip of %s does not hold the new code", handler)
		}
	}
}

func TestDamagedZipIsMadeAgain(t *testing.T) {
	t.Parallel()
	tests := map[string]func(path string) error{
		"zip gone":          os.Remove,
		"zip cut short":     func(path string) error { return os.Truncate(path, 100) },
		"zip of other data": func(path string) error { return os.WriteFile(path, []byte("PK"), 0o600) },
		"note gone":         func(path string) error { return os.Remove(path + ".json") },
		"note cut short":    func(path string) error { return os.Truncate(path+".json", 10) },
	}
	o := bundle.Options{Root: newModule(t, nil), Target: target, Files: routes("1")}
	whole := build(t, o)
	// One after the other, as all damage the same zip.
	for name, damage := range tests {
		if err := damage(whole["a"].Path); err != nil {
			t.Fatal(err)
		}
		if again := build(t, o); !maps.Equal(whole, again) {
			t.Errorf("%s: archives = %v, want %v", name, again, whole)
		}
		data, err := os.ReadFile(whole["a"].Path)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != whole["a"].SHA256 {
			t.Errorf("%s: the zip is still damaged", name)
		}
	}
}

func TestRunsAtTheSameMoment(t *testing.T) {
	t.Parallel()
	o := bundle.Options{Root: newModule(t, nil), Target: target, Files: routes("1")}
	results := make([]map[string]bundle.Archive, 4)
	var g errgroup.Group
	for i := range results {
		g.Go(func() (err error) {
			results[i], err = bundle.Build(t.Context(), o)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, r := range results[1:] {
		if !maps.Equal(results[0], r) {
			t.Errorf("archives = %v, want %v", r, results[0])
		}
	}
	var names []string
	for path := range look(t, filepath.Join(o.Root, ".build")) {
		names = append(names, filepath.Base(path))
	}
	slices.Sort(names)
	zipOfA := filepath.Base(results[0]["a"].Path)
	if want := []string{"a", zipOfA, zipOfA + ".json", "b", "b.zip", "b.zip.json"}; !slices.Equal(names, want) {
		t.Errorf("files left = %v, want %v", names, want)
	}
}

// files are the files under a folder as they were.
type files map[string]fs.FileInfo

// look sets the times of all files under dir back, so that a write shows
// however soon it comes, and remembers them.
func look(t testing.TB, dir string) files {
	t.Helper()
	seen := files{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			return err
		}
		seen[path], err = os.Lstat(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// unchanged reports the files that were
// replaced or written. The go command itself renews the time of a binary it
// finds up to date, so that for binaries only replacement counts: the linker
// never writes into an old one.
func (before files) unchanged(t testing.TB) {
	t.Helper()
	for path, was := range before {
		is, err := os.Lstat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if !os.SameFile(was, is) {
			t.Errorf("%s was replaced", path)
		}
		if filepath.Ext(path) != "" && !is.ModTime().Equal(was.ModTime()) {
			t.Errorf("%s was written", path)
		}
	}
}
