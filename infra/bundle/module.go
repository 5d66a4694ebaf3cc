package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const handlersDir = "handlers"

// buildTag leaves net/rpc out of aws-lambda-go, which only the retired go1.x
// runtime needs (README of aws-lambda-go).
const buildTag = "lambda.norpc"

// module is the Go module the handlers belong to.
type module struct {
	root      string // absolute
	toolchain string // the Go that go.mod asks for, such as "go1.26.8"
}

// openModule reads the module in root, or in the nearest folder from the
// working folder upwards if root is empty.
func openModule(root string) (module, error) {
	from, err := filepath.Abs(root)
	if err != nil {
		return module{}, err
	}
	dir := from
	for {
		gomod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		switch {
		case err == nil:
			toolchain := toolchainOf(string(gomod))
			if toolchain == "" {
				return module{}, fmt.Errorf("%s: no go line", filepath.Join(dir, "go.mod"))
			}
			return module{root: dir, toolchain: toolchain}, nil
		case !errors.Is(err, fs.ErrNotExist):
			return module{}, err
		case root != "":
			return module{}, fmt.Errorf("root %s: no go.mod there", root)
		case dir == filepath.Dir(dir):
			return module{}, fmt.Errorf("no go.mod in %s or above: run inside the module or set Options.Root", from)
		}
		dir = filepath.Dir(dir)
	}
}

// FindRoot is the folder with go.mod: the nearest one from the working folder
// upwards.
func FindRoot() (string, error) {
	m, err := openModule("")
	return m.root, err
}

// toolchainOf returns go.mod's toolchain, or the one its go line implies.
//
// By hand, because `go mod edit -json` cannot tell which Go to install where
// there is none, and x/mod/modfile would be one more dependency for two lines
// that cannot stand in a block.
func toolchainOf(gomod string) (toolchain string) {
	var implied string
	for line := range strings.Lines(gomod) {
		switch word := strings.Fields(line); {
		case len(word) < 2:
		case word[0] == "go":
			implied = "go" + word[1]
		case word[0] == "toolchain":
			toolchain = word[1]
		}
	}
	return cmp.Or(toolchain, implied)
}

// choose returns the handlers named in want, or all if it names none.
func (m module) choose(want []string) ([]string, error) {
	all, err := m.handlers()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no handler to compile: no package main in the folders of %s", filepath.Join(m.root, handlersDir))
	}
	if len(want) == 0 {
		want = all
	}
	for _, h := range want {
		if !slices.Contains(all, h) {
			return nil, fmt.Errorf("handler %q: no package main in %s/%s; there are: %s", h, handlersDir, h, strings.Join(all, ", "))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(want))), nil
}

// handlers lists the folders that hold a package main for Linux, sorted.
func (m module) handlers() ([]string, error) {
	dir := filepath.Join(m.root, handlersDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	goFiles := build.Default
	goFiles.GOOS = "linux"
	goFiles.BuildTags = []string{buildTag}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		pkg, err := goFiles.ImportDir(filepath.Join(dir, e.Name()), 0)
		if _, none := errors.AsType[*build.NoGoError](err); none {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", handlersDir, e.Name(), err)
		}
		if pkg.IsCommand() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
