package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2/maybe"
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

	var zip bytes.Buffer
	if err := writeZip(&zip, members); err != nil {
		return Archive{}, err
	}
	archive := Archive{Path: path, SHA256: sha256Of(zip.Bytes()), Size: int64(zip.Len())}
	said, err := json.Marshal(note{Inputs: inputs, SHA256: archive.SHA256})
	if err != nil {
		return Archive{}, err
	}
	// Each is whole or not there at all, whoever else packs at the same moment.
	return archive, errors.Join(maybe.WriteFile(path, zip.Bytes(), 0o644), maybe.WriteFile(notePath(path), said, 0o644))
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
	zip, err := os.ReadFile(path)
	if err != nil || sha256Of(zip) != n.SHA256 {
		return Archive{}, false
	}
	return Archive{Path: path, SHA256: n.SHA256, Size: int64(len(zip))}, true
}

func sha256Of(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
