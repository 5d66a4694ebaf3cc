package bundle

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// checkFiles refuses files that no zip would hold, and names that would replace
// bootstrap or leave the folder that Lambda unpacks to.
func (j *job) checkFiles() error {
	for _, h := range slices.Sorted(maps.Keys(j.files)) {
		if !slices.Contains(j.handlers, h) {
			return fmt.Errorf("files for handler %q, which is not compiled; these are: %s", h, strings.Join(j.handlers, ", "))
		}
		for _, name := range slices.Sorted(maps.Keys(j.files[h])) {
			first, _, _ := strings.Cut(name, "/")
			switch {
			case first == bootstrap:
				return fmt.Errorf("file %q of handler %s: the name belongs to the handler itself", name, h)
			case name == "." || !fs.ValidPath(name) || strings.Contains(name, `\`):
				return fmt.Errorf("file %q of handler %s: a relative path with slashes and without dot segments is needed", name, h)
			}
		}
	}
	return nil
}

// pack brings dir's zip of the handler up to date.
func pack(dir, handler, binary string, files map[string][]byte) (Archive, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return Archive{}, err
	}
	var beside []member
	for name, data := range files {
		beside = append(beside, member{name, 0o644, data})
	}
	slices.SortFunc(beside, byName)
	members := append(slices.Clone(beside), member{bootstrap, 0o755, program})
	slices.SortFunc(members, byName)

	// Two stacks differ in their files. With the same name for both, one deployed
	// at the same moment as the other could upload the other's.
	name := handler
	if len(beside) > 0 {
		name += "-" + digest("", beside)[:12]
	}
	path := filepath.Join(dir, name+".zip")
	inputs := digest(recipe(), members)
	if archive, ok := upToDate(path, inputs); ok {
		return archive, nil
	}

	sum := sha256.New()
	var size counter
	err = writeFile(path, func(w io.Writer) error {
		return writeZip(io.MultiWriter(w, sum, &size), members)
	})
	if err != nil {
		return Archive{}, err
	}
	archive := Archive{Path: path, SHA256: hexOf(sum), Size: int64(size)}
	err = writeFile(notePath(path), func(w io.Writer) error {
		return json.NewEncoder(w).Encode(note{Inputs: inputs, SHA256: archive.SHA256})
	})
	return archive, err
}

// note lies beside a zip and says what it was made of.
type note struct {
	Inputs string `json:"inputs"` // digest of the recipe and the members
	SHA256 string `json:"sha256"` // of the zip
}

func notePath(zipPath string) string { return zipPath + ".json" }

// upToDate returns the zip at path if it was made of these inputs and is whole.
// A note or a zip that cannot be read is one that must be made again.
func upToDate(path, inputs string) (Archive, bool) {
	var n note
	data, err := os.ReadFile(notePath(path))
	if err != nil || json.Unmarshal(data, &n) != nil || n.Inputs != inputs {
		return Archive{}, false
	}
	f, err := os.Open(path)
	if err != nil {
		return Archive{}, false
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil || hexOf(sum) != n.SHA256 {
		return Archive{}, false
	}
	return Archive{Path: path, SHA256: n.SHA256, Size: size}, true
}

// writeFile writes a file that is whole or not there at all.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// counter counts the bytes written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
