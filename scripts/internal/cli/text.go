package cli

import (
	"fmt"
	"strings"
	"unicode"

	"ittybit-media/handlers/media"
)

// Printable returns a string, such as a key, that cannot steer the terminal: it
// replaces control characters.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, text)
}

// OneLine returns a string from outside, such as several errors in lines, as
// one printable line without secrets.
func OneLine(text string) string {
	return Printable(media.Redact(strings.ReplaceAll(strings.TrimRightFunc(text, unicode.IsSpace), "\n", "; ")))
}

// Count returns a number of things, for people: "1 job", "2 jobs".
func Count[N ~int | ~int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
