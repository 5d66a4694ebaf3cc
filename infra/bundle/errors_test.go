package bundle_test

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"ittybit-media/infra/bundle"
)

func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	file := func(handler, name string) bundle.Options {
		return bundle.Options{Target: target, Files: map[string]map[string][]byte{handler: {name: nil}}}
	}
	tests := map[string]struct {
		options bundle.Options
		changes map[string]string
		want    []string // parts of the error
	}{
		"no target":            {options: bundle.Options{}, want: []string{"Options.Target"}},
		"unknown architecture": {options: bundle.Options{Target: bundle.Lambda("amd64")}, want: []string{`"amd64"`, "arm64", "x86_64"}},
		"zip for the host":     {options: bundle.Options{Target: bundle.Host()}, want: []string{"bundle.Lambda"}},
		"no go line": {
			options: bundle.Options{Target: target},
			changes: map[string]string{"go.mod": "module example.test/m\n"},
			want:    []string{"go.mod", "no go line"},
		},
		"file named bootstrap":       {options: file("a", "bootstrap"), want: []string{`"bootstrap"`, "handler a"}},
		"file under bootstrap":       {options: file("a", "bootstrap/x"), want: []string{`"bootstrap/x"`}},
		"file above":                 {options: file("a", "../x"), want: []string{`"../x"`, "relative path"}},
		"file above, later":          {options: file("a", "x/../../y"), want: []string{`"x/../../y"`}},
		"absolute file":              {options: file("a", "/etc/passwd"), want: []string{`"/etc/passwd"`}},
		"file with backslash":        {options: file("a", `..\x`), want: []string{`"..\\x"`}},
		"file without name":          {options: file("a", ""), want: []string{`file ""`}},
		"file that is the folder":    {options: file("a", "."), want: []string{`file "."`}},
		"file for a missing handler": {options: file("dispach", "routes.json"), want: []string{`"dispach"`, "a, b"}},
		"code that does not compile": {
			options: bundle.Options{Target: target},
			changes: map[string]string{"handlers/b/main.go": "package main\n\nfunc main() { missing() }\n"},
			want:    []string{"handler b does", "lambda-x86_64", "handlers/b/main.go:3:15: undefined: missing"},
		},
		"shared code that does not compile": {
			options: bundle.Options{Target: target},
			changes: map[string]string{"handlers/shared/shared.go": "package shared\n\nfunc Word() string { return 1 }\n"},
			want:    []string{"handler a, b does", "handlers/shared/shared.go:3:29: "},
		},
		"a package that is not there": {
			options: bundle.Options{Target: target},
			changes: map[string]string{"handlers/b/main.go": "package main\n\nimport \"example.test/m/handlers/gone\"\n\nfunc main() { gone.Do() }\n"},
			want:    []string{"handler b does", "handlers/b/main.go:3:8: ", "handlers/gone"},
		},
		"code that is not Go": {
			options: bundle.Options{Target: target},
			changes: map[string]string{"handlers/b/main.go": "package\n"},
			want:    []string{"handlers/b", "main.go:1:"},
		},
		"two packages in a folder": {
			options: bundle.Options{Target: target},
			changes: map[string]string{"handlers/b/other.go": "package other\n"},
			want:    []string{"handlers/b", "main.go", "other.go"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := test.options
			o.Root = newModule(t, test.changes)
			_, err := bundle.Build(t.Context(), o)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error = %v\nwithout %q", err, want)
				}
			}
		})
	}
}

func TestCompilersLinesAreRelative(t *testing.T) {
	t.Parallel()
	root := newModule(t, map[string]string{"handlers/a/main.go": "package main\n\nfunc main() { missing() }\n"})
	_, err := bundle.Compile(t.Context(), bundle.Options{Root: root, Target: bundle.Host()})
	if err == nil || strings.Contains(err.Error(), root) {
		t.Errorf("error = %v, want one without the folder %s", err, root)
	}
}

func TestModuleWithoutHandlers(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.test/m\n\ngo 1.26.0\n")
	write(t, filepath.Join(root, "handlers/shared/shared.go"), "package shared\n")
	_, err := bundle.Compile(t.Context(), bundle.Options{Root: root, Target: target})
	if err == nil || !strings.Contains(err.Error(), "no package main") {
		t.Errorf("error = %v, want no package main", err)
	}
}

func TestRootWithoutModule(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, root := range []string{"", dir} {
		_, err := bundle.Compile(t.Context(), bundle.Options{Root: root, Target: target})
		if err == nil || !strings.Contains(err.Error(), "no go.mod") || !strings.Contains(err.Error(), filepath.Base(dir)) {
			t.Errorf("root %q: error = %v, want no go.mod in %s", root, err, dir)
		}
	}
}

func TestGoIsNotInstalled(t *testing.T) {
	root := newModule(t, map[string]string{"go.mod": "module example.test/m\n\ngo 1.26.0\n\ntoolchain go1.26.77 // the newest\n"})
	t.Setenv("PATH", t.TempDir())
	_, err := bundle.Compile(t.Context(), bundle.Options{Root: root, Target: target})
	_, asked := bundle.Toolchain(t.Context(), root)
	for _, err := range []error{err, asked} {
		if err == nil || !strings.Contains(err.Error(), "install go1.26.77") {
			t.Errorf("error = %v, want one that says which Go to install", err)
		}
	}
}

func TestToolchainCannotBeHad(t *testing.T) {
	root := newModule(t, map[string]string{"go.mod": "module example.test/m\n\ngo 1.26.0\n\ntoolchain go1.26.9999\n"})
	t.Setenv("GOPROXY", "off")
	_, err := bundle.Compile(t.Context(), bundle.Options{Root: root, Target: target})
	_, asked := bundle.Toolchain(t.Context(), root)
	for _, err := range []error{err, asked} {
		if err == nil || !strings.Contains(err.Error(), "go.mod asks for go1.26.9999: install it") {
			t.Errorf("error = %v, want one that says what to do", err)
		}
	}
}

func TestToolchainIsGoModsOwn(t *testing.T) {
	t.Parallel()
	root := newModule(t, map[string]string{"go.mod": "module example.test/m\n\ngo 1.26.0\n\ntoolchain " + runtime.Version() + "\n"})
	if got, err := bundle.Toolchain(t.Context(), root); err != nil || got != runtime.Version() {
		t.Errorf("%s, %v", got, err)
	}
}

func TestContextThatHasEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := bundle.Build(ctx, bundle.Options{Root: newModule(t, nil), Target: target})
	if !isCanceled(err) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}
