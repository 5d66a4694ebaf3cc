// Package operator is what the commands for operators share: the way to a
// deployed stack or a local run, its queues, logs and functions, and errors
// that say what to do about AWS's answers.
package operator

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"ittybit-media/scripts/internal/cli"
)

// Call is one call of a command that works on a stack.
type Call struct {
	*cli.Call
	Target
}

// Target says which stack a command works on.
type Target struct {
	Stack string
	Local string // file of a local run; "": the stack is on AWS
	Root  string // the module's folder; "": the one that the working folder is in
}

// Command returns a command that works on a stack: it has -stack and -local,
// and its errors say what to do about AWS's answers. declare is
// [cli.Command.Flags] with the call of a stack.
func Command(name, usage string, declare func(*flag.FlagSet) func(context.Context, *Call) error) cli.Command {
	return cli.Command{
		Name: name, Usage: usage, Changes: true, Explain: Explain,
		Flags: func(flags *flag.FlagSet) func(context.Context, *cli.Call) error {
			var t Target
			flags.StringVar(&t.Stack, "stack", "dev", "the `STACK` to work on")
			flags.Var(localFlag{&t.Local}, "local", "work on the local run (go run ./scripts/local) instead of AWS; -local=`FILE` on the one that wrote that file")
			run := declare(flags)
			return func(ctx context.Context, c *cli.Call) error { return run(ctx, &Call{c, t}) }
		},
	}
}

// localFlag is a flag that may have a value: -local or -local=FILE.
type localFlag struct{ file *string }

// defaultLocal stands for the file that a local run of this module writes.
const defaultLocal = "true"

func (f localFlag) String() string     { return "" }
func (f localFlag) IsBoolFlag() bool   { return true }
func (f localFlag) Set(s string) error { *f.file = s; return nil }

// Command returns the command line of a command for the same target, as people
// would type it.
func (t Target) Command(command string, args ...string) string {
	words := []string{"go run ./scripts/" + command}
	switch t.Local {
	case "":
		words = append(words, "-stack", t.Stack)
	case defaultLocal:
		words = append(words, "-local")
	default:
		words = append(words, "-local="+t.Local)
	}
	for _, arg := range args {
		words = append(words, quote(arg))
	}
	return strings.Join(words, " ")
}

// FillKey returns the command line that puts Ittybit's API key into the secret
// that the stack has made for it.
func (t Target) FillKey() string {
	return fmt.Sprintf(`eval "$(pulumi stack output apiKeyCommand --stack %s)"`, t.Stack)
}

// quote returns a word for a shell, fit to be shown.
func quote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,@%+="
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(cli.Printable(word), "'", `'\''`) + "'"
}

// OutputURL returns where an output is, without the query: a signed URL lets
// everyone who has it read the output.
func OutputURL(url string) string {
	address, _, ok := strings.Cut(url, "?")
	if !ok || !strings.HasPrefix(url, "http") { // a key may have a question mark
		return url
	}
	return address + "?[redacted]"
}
