// Package generated holds documents to the code that they describe: tests
// compare a marked part of a file with what the code says, and rewrite it when
// they are run with -update, a package at a time.
package generated

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated parts of documents")

// Block compares the part of the file between the lines begin and end.
func Block(t testing.TB, file, begin, end, want string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := bytes.Cut(data, []byte(begin))
	got, tail, closed := bytes.Cut(rest, []byte(end))
	switch {
	case !found || !closed:
		t.Errorf("%s has no lines %q and %q", file, begin, end)
	case string(got) == want:
	case !*update:
		t.Errorf("%s is not what the code says; run this test with -update\ngot  %s\nwant %s", file, got, want)
	default:
		data = bytes.Join([][]byte{head, []byte(begin), []byte(want), []byte(end), tail}, nil)
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
