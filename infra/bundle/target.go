package bundle

import (
	"fmt"
	"runtime"
)

// goarch gives Lambda's instruction sets their names in Go (AWS Lambda
// Developer Guide, "Selecting and configuring an instruction set architecture
// for your Lambda function").
var goarch = map[string]string{"arm64": "arm64", "x86_64": "amd64"}

// Target says what machine the handlers are compiled for. The zero value is
// none and refused.
type Target struct {
	host         bool
	architecture string
}

// Lambda is AWS Lambda on its arm64 or x86_64 instruction set. Any other name
// is refused by [Compile] and [Build].
func Lambda(architecture string) Target { return Target{architecture: architecture} }

// Host is the machine this program runs on. The caller's Go settings hold, and
// what `go run` and `go test` compiled before is not compiled again.
func Host() Target { return Target{host: true} }

// String returns "host", "lambda-arm64" and so on.
func (t Target) String() string {
	if t.host {
		return "host"
	}
	return "lambda-" + t.architecture
}

func (t Target) check() error {
	if t.host || goarch[t.architecture] != "" {
		return nil
	}
	if t == (Target{}) {
		return fmt.Errorf("no target: set Options.Target to bundle.Lambda or bundle.Host")
	}
	return fmt.Errorf("architecture %q: Lambda knows arm64 and x86_64", t.architecture)
}

// exe is the ending of an executable's name.
func (t Target) exe() string {
	if t.host && runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}
