package operator

import (
	"fmt"
	"strings"
	"unicode"

	"ittybit-media/handlers/media"
)

// Printable keeps a key or a message from steering the terminal.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, text)
}

// OneLine is a text from outside, such as several errors in lines, fit to be
// shown among others.
func OneLine(text string) string {
	return Printable(media.Redact(strings.ReplaceAll(strings.TrimRightFunc(text, unicode.IsSpace), "\n", "; ")))
}

// OutputURL is where an output is, without its query: who has a signed URL can
// read the output.
func OutputURL(url string) string {
	address, _, ok := strings.Cut(url, "?")
	if !ok || !strings.HasPrefix(url, "http") { // a key may have a question mark
		return url
	}
	return address + "?[redacted]"
}

// Count is a number of things, for people.
func Count[N ~int | ~int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Command is the command line of a script for the same target, as people would
// type it.
func (t Target) Command(script string, args ...string) string {
	words := []string{"go run ./scripts/" + script}
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

// FillKey is the command line that puts Ittybit's API key into the secret that
// the stack has made for it.
func (t Target) FillKey() string {
	return fmt.Sprintf(`eval "$(pulumi stack output apiKeyCommand --stack %s)"`, t.Stack)
}

// quote is a word for a shell, and fit to be shown.
func quote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,@%+="
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(Printable(word), "'", `'\''`) + "'"
}
