package media

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxErrorText bounds, in bytes, a text that came from outside: it ends up in
// log lines, in rows and in queue attributes.
const maxErrorText = 1024

// maxRead bounds, in bytes, what is looked through: what a secret at its end
// leaves is far behind the text's own end.
const maxRead = 16 << 10

const redacted = "[redacted]"

// What must not be read by those who read logs: callback tokens and whatever
// else is a JWT, credentials in headers, signed URLs. The first group stays.
var secretText = pattern(`(?i)` +
	`((?:token|signature|x-amz-credential)(?:["']?=["']?|["']\s*:\s*["'])` +
	`|x-amz-(?:security-token|signature|credential)\s*:\s*` +
	`|authorization["']?\s*[:=]\s*["']?(?:bearer\s+|basic\s+)?` +
	`|bearer\s+)[^\s"'&<>,;)\\]+` +
	`|(?-i:eyJ)[\w-]*\.[\w.-]+|(?-i:eyJ)[\w-]{8,}`)

// secretWords are in whatever secretText finds, in lower case: to look for them
// takes a tenth of the time.
var secretWords = []string{"token", "signature", "credential", "authorization", "bearer", "eyj"}

// Redact makes a text from outside fit to be logged and stored: without the
// given secrets, any token, credential or signature, in whatever way they are
// escaped, in valid UTF-8 and of at most 1 KB. Every error text that quotes
// another system goes through it.
func Redact(text string, secrets ...string) string {
	if len(text) > maxRead {
		text = text[:maxRead]
	}
	text = Mask(text, secrets...)
	if len(text) <= maxErrorText {
		return text
	}
	const ellipsis = "…"
	cut := maxErrorText - len(ellipsis)
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + ellipsis
}

// Mask is [Redact] for a text that is wanted whole, for people who may see what
// the pipeline works on: only secrets, tokens, credentials and signatures are
// left out.
func Mask(text string, secrets ...string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	var forms []string // of the secrets: what looks like an escape in one is taken off, too
	for _, secret := range secrets {
		for _, form := range levels(secret) {
			forms = append(forms, form.text)
		}
	}
	var found []span
	for _, p := range levels(text) {
		for _, s := range spans(p.text, forms) {
			found = append(found, span{p.original(s.from), p.original(s.to)})
		}
	}
	return blank(text, found)
}

// span is a part of a text, in bytes.
type span struct{ from, to int }

// spans finds the secrets in a text as it is, in no order.
func spans(text string, secrets []string) []span {
	var found []span
	for _, secret := range secrets {
		for at := 0; secret != ""; {
			i := strings.Index(text[at:], secret)
			if i < 0 {
				break
			}
			found = append(found, span{at + i, at + i + len(secret)})
			at += i + 1
		}
	}
	lower := strings.ToLower(text)
	if !slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(lower, word) }) {
		return found
	}
	for _, m := range secretText().FindAllStringSubmatchIndex(text, -1) {
		found = append(found, span{max(m[0], m[3]), m[1]})
	}
	return found
}

// blank writes one mark for all that the spans cover together.
func blank(text string, found []span) string {
	if len(found) == 0 {
		return text
	}
	slices.SortFunc(found, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	end := 0
	for i, s := range found {
		if i == 0 || s.from > end {
			b.WriteString(text[end:s.from])
			b.WriteString(redacted)
		}
		end = max(end, s.to)
	}
	b.WriteString(text[end:])
	return b.String()
}
