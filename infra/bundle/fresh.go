package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sources says what binaries were made of. It lies beside them and saves a build
// with nothing to do the go command, which would take most of its time.
type sources struct {
	Inputs   string            `json:"inputs"`   // digest of all that can change a binary
	Folders  []string          `json:"folders"`  // of this module's packages, relative to its root
	Binaries map[string]string `json:"binaries"` // digest of each, by handler
}

func (j *job) sourcesPath() string { return filepath.Join(j.dir, "sources.json") }

// fresh reports whether every binary is there and made of what is there now.
func (j *job) fresh(recipe []string) bool {
	var s sources
	data, err := os.ReadFile(j.sourcesPath())
	if err != nil || json.Unmarshal(data, &s) != nil {
		return false
	}
	binaries, err := j.digests()
	if err != nil || !maps.Equal(s.Binaries, binaries) {
		return false
	}
	inputs, err := j.inputs(recipe, s.Folders)
	return err == nil && inputs == s.Inputs
}

// digests are those of the binaries as they are now.
func (j *job) digests() (map[string]string, error) {
	all := make(map[string]string, len(j.handlers))
	for _, h := range j.handlers {
		binary, err := os.ReadFile(j.binary(h))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(binary)
		all[h] = hex.EncodeToString(sum[:])
	}
	return all, nil
}

// inputs digests what is told to the go command, the versions of the modules,
// and every file beside this module's packages but their tests. Which file
// counts is not asked: a new package or a new dependency needs a change of one
// of these.
func (j *job) inputs(recipe, folders []string) (string, error) {
	var files []member
	add := func(name string) error {
		data, err := os.ReadFile(filepath.Join(j.root, name))
		if err == nil {
			files = append(files, member{name: filepath.ToSlash(name), data: data})
		}
		return err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := add(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	for _, folder := range folders {
		entries, err := os.ReadDir(filepath.Join(j.root, folder))
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			if e.IsDir() || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			if err := add(filepath.Join(folder, e.Name())); err != nil {
				return "", err
			}
		}
	}
	return digest(strings.Join(recipe, "\x00"), files), nil
}

// folders are those of this module's packages that the handlers are made of. It
// returns none where more than these could change a binary: embedded files, or a
// module that is replaced by a folder.
func (j *job) folders(ctx context.Context, goTool string, env []string) ([]string, error) {
	args := []string{"list", "-deps", "-tags=" + buildTag, "-json=Dir,Standard,Module,EmbedPatterns"}
	cmd := j.command(ctx, goTool, env, append(args, j.packages()...)...)
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var folders []string
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			Dir           string
			Standard      bool
			EmbedPatterns []string
			Module        *struct {
				Main    bool
				Replace *struct{ Version string }
			}
		}
		switch err := d.Decode(&pkg); {
		case errors.Is(err, io.EOF):
			slices.Sort(folders)
			return folders, nil
		case err != nil:
			return nil, err
		case pkg.Standard || pkg.Module == nil:
		case pkg.Module.Replace != nil && pkg.Module.Replace.Version == "":
			return nil, nil
		case pkg.Module.Main:
			folder, err := filepath.Rel(j.root, pkg.Dir)
			if err != nil || len(pkg.EmbedPatterns) > 0 {
				return nil, err
			}
			folders = append(folders, folder)
		}
	}
}

// note remembers what the binaries were made of. Without it, the next build asks
// the go command.
func (j *job) note(inputs string, folders []string) error {
	binaries, err := j.digests()
	if err != nil {
		return err
	}
	return writeFile(j.sourcesPath(), func(w io.Writer) error {
		return json.NewEncoder(w).Encode(sources{inputs, folders, binaries})
	})
}
