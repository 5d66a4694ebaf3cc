package stack_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ittybit-media/infra/stack"
)

// write writes a file and returns its path.
func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string { return write(t, filepath.Join(dir, name), text) }
	got, err := stack.ReadFile(write("Pulumi.dev.yaml", "config:\n  aws:region: us-east-1\n  ittybit-media:connectionId: conn_1\n  logLevel: warn\n"))
	if err != nil || !reflect.DeepEqual(got, values{"connectionId": "conn_1", "logLevel": "warn"}) {
		t.Errorf("got %v, %v", got, err)
	}
	got, err = stack.ReadFile(write("Pulumi.secret.yaml", "encryptionsalt: v1:a\nconfig:\n  ittybit-media:connectionId:\n    secure: v1:b\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := stack.Parse(got); err == nil || !strings.Contains(err.Error(), "connectionId: is encrypted") {
		t.Errorf("encrypted: %v", err)
	}
	if _, err := stack.ReadFile(write("Pulumi.bad.yaml", "config: [")); err == nil || !strings.Contains(err.Error(), "Pulumi.bad.yaml") {
		t.Errorf("broken: %v", err)
	}
	if _, err := stack.ReadFile(filepath.Join(dir, "Pulumi.prod.yaml")); err == nil || !strings.Contains(err.Error(), "there are Pulumi.bad.yaml, Pulumi.dev.yaml") {
		t.Errorf("missing: %v", err)
	}
	if _, err := stack.ReadFile(filepath.Join(t.TempDir(), "Pulumi.prod.yaml")); err == nil || strings.Contains(err.Error(), "there are Pulumi") {
		t.Errorf("alone: %v", err)
	}
}

func TestOpenReadsOtherNamespacesToo(t *testing.T) {
	t.Parallel()
	text := "config:\n  aws:region: eu-west-1\n  aws:secretKey:\n    secure: v1:b\n  other:list:\n    - secure: v1:c\n  logLevel:\n    secure: v1:d\n"
	file, err := stack.Open(write(t, filepath.Join(t.TempDir(), "Pulumi.dev.yaml"), text))
	var ciphers []string
	for _, c := range file.Ciphers {
		ciphers = append(ciphers, c.Path)
	}
	if err != nil || file.Region != "eu-west-1" || !slices.Equal(ciphers, []string{"aws:secretKey", "other:list[0]"}) {
		t.Errorf("%+v, %v", file, err)
	}
}
