package media

import (
	"strings"
	"unicode/utf8"
)

// maxErrorText bounds, in bytes, a text that came from outside: it ends up in
// log lines, in rows and in queue attributes.
const maxErrorText = 1024

// maxRead bounds, in bytes, what is looked through: what a secret at its end
// leaves is far behind the text's own end.
const maxRead = 16 << 10

// What must not be read by those who read logs: callback tokens, credentials in
// headers, signed URLs.
var secretText = pattern(`(?i)((?:token|x-amz-signature|x-amz-credential|x-amz-security-token|signature)(?:=|%3d)|"token"\s*:\s*"|authorization["']?\s*[:=]\s*["']?(?:bearer\s+|basic\s+)?|bearer\s+)[^\s"'&<>,;)\\]+`)

// Redact makes a text from outside fit to be logged and stored: without any
// token, credential or signature, in valid UTF-8 and of at most 1 KB. Every
// error text that quotes another system goes through it.
func Redact(text string) string {
	if len(text) > maxRead {
		text = text[:maxRead]
	}
	text = Mask(text)
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
// the pipeline works on: only tokens, credentials and signatures are left out.
func Mask(text string) string {
	return secretText().ReplaceAllString(strings.ToValidUTF8(text, "\uFFFD"), "${1}[redacted]")
}
