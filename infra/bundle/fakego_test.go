package bundle_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"testing"
)

// fakeGoVar, in the environment of this test binary, makes it a go command that
// compiles until it is interrupted. Its value is the address of a listener that
// learns of its start and, with the word interrupted, of its orderly end.
const fakeGoVar = "BUNDLE_TEST_FAKE_GO"

const interrupted = "interrupted"

func TestMain(m *testing.M) {
	if addr := os.Getenv(fakeGoVar); addr != "" {
		if err := beFakeGo(addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(2)
	}
	os.Exit(m.Run())
}

func beFakeGo(addr string) error {
	if os.Args[1] == "env" {
		fmt.Println("{}")
		os.Exit(0)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	<-signals
	_, err = conn.Write([]byte(interrupted))
	return errors.Join(err, conn.Close())
}

// fakeGo puts the fake before the real go command on PATH.
func fakeGo(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv(fakeGoVar, l.Addr().String())
	return l
}

func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }
