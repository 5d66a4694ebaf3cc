// Package version tells which code runs, on what: what a report of a defect
// should say.
package version

import (
	"cmp"
	"fmt"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
)

const devel = "(devel)" // what Go calls a build that it did not stamp

// Line is the version in one line. What go run builds is not stamped; then git
// is asked, in the working folder.
func Line() string {
	version := devel
	if info, ok := debug.ReadBuildInfo(); ok {
		version = cmp.Or(info.Main.Version, devel)
	}
	if version == devel {
		if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
			version = strings.TrimSpace(string(out))
		}
	}
	return fmt.Sprintf("ittybit-media %s, %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
