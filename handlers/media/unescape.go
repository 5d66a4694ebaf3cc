package media

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// escapeMarks begin the escapes of URLs, of JSON and of HTML.
const escapeMarks = `%\&`

// maxDepth bounds how many escapes are taken off, one inside the other.
const maxDepth = 64

// plain is a text without some of its escapes, and where its bytes were.
type plain struct {
	text string
	at   []int // in the original, and its length; nil: where they are
}

// levels returns the text as it is, then without its outermost escapes of ASCII
// characters, and so on.
func levels(text string) []plain {
	all := []plain{{text: text}}
	for range maxDepth {
		last := all[len(all)-1]
		if !strings.ContainsAny(last.text, escapeMarks) {
			break
		}
		next := last.unescape()
		if len(next.text) == len(last.text) {
			break
		}
		all = append(all, next)
	}
	return all
}

// original is where byte i of the text was.
func (p plain) original(i int) int {
	if p.at == nil {
		return i
	}
	return p.at[i]
}

func (p plain) unescape() plain {
	text, at := make([]byte, 0, len(p.text)), make([]int, 0, len(p.text)+1)
	for i := 0; i < len(p.text); {
		c, n := escape(p.text[i:])
		if n == 0 {
			c, n = p.text[i], 1
		}
		text, at = append(text, c), append(at, p.original(i))
		i += n
	}
	return plain{string(text), append(at, p.original(len(p.text)))}
}

// maxEntity is more than any HTML entity of an ASCII character has, in bytes.
const maxEntity = 20

// escape returns the character of the escape that the text begins with, and the
// escape's length: 0 when it begins with none.
func escape(text string) (byte, int) {
	if len(text) < 2 {
		return 0, 0
	}
	switch text[0] {
	case '%':
		return hexEscape(text, 1, 2)
	case '\\':
		return backslashEscape(text)
	case '&':
		end := strings.IndexByte(text[:min(len(text), maxEntity)], ';')
		if end < 0 {
			return 0, 0
		}
		if s := html.UnescapeString(text[:end+1]); len(s) == 1 {
			return s[0], end + 1
		}
	}
	return 0, 0
}

func backslashEscape(text string) (byte, int) {
	switch c := text[1]; {
	case c == 'u':
		return hexEscape(text, 2, 4)
	case c == 'x':
		return hexEscape(text, 2, 2)
	case strings.IndexByte("bfnrtv", c) >= 0:
		return ' ', 2
	case c > ' ' && c < utf8.RuneSelf && !isWord(c):
		return c, 2
	}
	return 0, 0
}

func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func hexEscape(text string, from, digits int) (byte, int) {
	end := from + digits
	if len(text) < end {
		return 0, 0
	}
	c, err := strconv.ParseUint(text[from:end], 16, 7)
	if err != nil {
		return 0, 0
	}
	return byte(c), end
}
