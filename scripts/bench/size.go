package main

import (
	"bytes"
	"cmp"
	"context"
	"debug/elf"
	"debug/gosym"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ittybit-media/infra/bundle"
)

// maxZip is what a handler's zip may have, in MB.
const maxZip = 4

// size reports the zips of every architecture, and of dispatch what is in it.
func (b *bench) size(ctx context.Context) error {
	for _, architecture := range []string{"arm64", "x86_64"} {
		o := bundle.Options{Root: b.root, Target: bundle.Lambda(architecture)}
		zips, err := bundle.Build(ctx, o)
		if err != nil {
			return err
		}
		binaries, err := bundle.Compile(ctx, o)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(zips)) {
			b.report(fmt.Sprintf("%s, %s: zip", name, architecture), "MB", sample{float64(zips[name].Size) / 1e6}, atMost(maxZip))
			c, err := open(binaries[name])
			if err != nil {
				return fmt.Errorf("%s: %w", binaries[name], err)
			}
			b.report(fmt.Sprintf("%s, %s: binary", name, architecture), "MB", sample{float64(c.size) / 1e6}, nil)
			if name == "dispatch" && architecture == "arm64" {
				b.contents(c)
			}
		}
	}
	return nil
}

// contents reports what a binary is made of: its sections, and its code by
// package.
func (b *bench) contents(c contents) {
	const least = 0.01 // of the binary, to be worth a line
	show := func(what string, parts map[string]uint64) {
		names := slices.SortedFunc(maps.Keys(parts), func(x, y string) int { return cmp.Compare(parts[y], parts[x]) })
		for _, name := range names {
			if float64(parts[name]) >= least*float64(c.size) {
				b.report(fmt.Sprintf("dispatch, arm64: %s %s", what, name), "MB", sample{float64(parts[name]) / 1e6}, nil)
			}
		}
	}
	show("section", c.sections)
	show("code of", c.code)
}

// contents is what a binary is made of, in bytes.
type contents struct {
	size     uint64
	sections map[string]uint64
	code     map[string]uint64 // by package, near relatives together
}

func open(path string) (c contents, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return contents{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	c = contents{sections: map[string]uint64{}, code: map[string]uint64{}}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_NOBITS {
			c.sections[s.Name] = s.Size
			c.size += s.Size
		}
	}
	text, lines := f.Section(".text"), f.Section(".gopclntab")
	if text == nil || lines == nil {
		return c, errors.New("it is no Go binary")
	}
	data, err := lines.Data()
	if err != nil {
		return c, err
	}
	// The table that panics and profiles take names from stays in a stripped
	// binary.
	table, err := gosym.NewTable(nil, gosym.NewLineTable(bytes.Clone(data), text.Addr))
	if err != nil {
		return c, err
	}
	for _, f := range table.Funcs {
		c.code[family(f.Sym.Name)] += f.End - f.Entry
	}
	return c, nil
}

// own is the family of this module's packages.
const own = "ittybit-media"

// family is the package of a symbol, or what it and its relatives have in common.
func family(symbol string) string {
	path := symbol
	if i := strings.IndexByte(path, '['); i >= 0 { // type arguments have slashes of their own
		path = path[:i]
	}
	slash := strings.LastIndexByte(path, '/') + 1
	if dot := strings.IndexByte(path[slash:], '.'); dot >= 0 {
		path = path[:slash+dot]
	}
	first, _, _ := strings.Cut(path, "/")
	switch {
	case first == own:
		return own
	case !strings.Contains(first, "."): // the standard library
		return first
	}
	const service = "github.com/aws/aws-sdk-go-v2/service/"
	if rest, ok := strings.CutPrefix(path, service); ok {
		name, _, _ := strings.Cut(rest, "/")
		return service + name
	}
	parts := strings.SplitN(path, "/", 4)
	return strings.Join(parts[:min(3, len(parts))], "/")
}
