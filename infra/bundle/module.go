package bundle

import (
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
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
		path := filepath.Join(dir, "go.mod")
		gomod, err := os.ReadFile(path)
		switch {
		case err == nil:
			toolchain, err := toolchainOf(path, gomod)
			return module{root: dir, toolchain: toolchain}, err
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
func toolchainOf(path string, gomod []byte) (string, error) {
	file, err := modfile.Parse(path, gomod, nil)
	switch {
	case err != nil:
		return "", err
	case file.Toolchain != nil:
		return file.Toolchain.Name, nil
	case file.Go == nil:
		return "", fmt.Errorf("%s: no go line", path)
	}
	return "go" + file.Go.Version, nil
}

// handlers lists the folders that hold a package main for Linux, sorted. None is
// an error.
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
	if len(names) == 0 {
		return nil, fmt.Errorf("no handler to compile: no package main in the folders of %s", dir)
	}
	return names, nil
}
