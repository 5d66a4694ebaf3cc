package cli

import (
	"cmp"
	"fmt"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
)

const devel = "(devel)" // what Go calls a build that it did not stamp

// version returns in one line which code runs, on what: what a bug report
// should say. What go run builds is not stamped; then git is asked, in the
// working folder.
func version() string {
	revision := devel
	if info, ok := debug.ReadBuildInfo(); ok {
		revision = cmp.Or(info.Main.Version, devel)
	}
	if revision == devel {
		if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
			revision = strings.TrimSpace(string(out))
		}
	}
	return fmt.Sprintf("ittybit-media %s, %s %s/%s", revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
