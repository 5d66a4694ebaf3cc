package media_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"ittybit-media/handlers/media"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`plain text stays`: `plain text stays`,
		`bad webhook_url https://x/webhook?token=eyJ.aaa.bbb&x=1`:      `bad webhook_url https://x/webhook?token=[redacted]&x=1`,
		`{"url":"https://x/webhook?token=eyJ.aaa.bbb","n":1}`:          `{"url":"https://x/webhook?token=[redacted]","n":1}`,
		`Authorization: Bearer ittybit_live_abc is wrong`:              `Authorization: Bearer [redacted] is wrong`,
		`{"token":"eyJ.aaa.bbb"}`:                                      `{"token":"[redacted]"}`,
		`the token: is missing`:                                        `the token: is missing`,
		`{"authorization":"Bearer ittybit_live_abc"}`:                  `{"authorization":"Bearer [redacted]"}`,
		`GET https://b.s3.amazonaws.com/k?X-Amz-Signature=0f0f failed`: `GET https://b.s3.amazonaws.com/k?X-Amz-Signature=[redacted] failed`,
		`100 % & more \o/ &unknown; %zz \`:                             `100 % & more \o/ &unknown; %zz \`,
		`a key as eyJust.`:                                             `a key as eyJust.`,
		`%22token%22%3A%22abc%22`:                                      `%22token%22%3A%22[redacted]%22`,
		`token=a&amp;b=c`:                                              `token=[redacted]&amp;b=c`,
		"\xff\xfe":                                                     "\uFFFD",
	} {
		if got := media.Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
	long := media.Redact(strings.Repeat("ä", 1000))
	if len(long) > 1024 || !strings.HasSuffix(long, "…") || strings.ContainsRune(long, '\uFFFD') {
		t.Errorf("a long text ends in %q with %d bytes", long[len(long)-8:], len(long))
	}
	if got := media.Redact(strings.Repeat("x", 1020) + " token=secret"); strings.Contains(got, "secret") {
		t.Error("a token at the cut shows")
	}
	if media.Redact("") != "" {
		t.Error("nothing becomes something")
	}
}

// ofOurs is a token of ours, and a text of its shape that has no dots to lose.
func ofOurs(t testing.TB) string {
	t.Helper()
	token, err := keys(t, newest).Sign(ref)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestRedactAnyEscapes(t *testing.T) {
	t.Parallel()
	token := ofOurs(t)
	_, signature, _ := strings.Cut(token, ".")
	opaque := "s3cr3t-of.another_shape"
	for _, before := range []string{
		`token\u003d`, `{\"url\":\"https://x?token=`, `{\\\"token\\\":\\\"`, `token&#61;`, `token&#x3D;`, `token&equals;`, `token&amp;#61;`, `token%3D`,
		`token%253D`, `token%25252525253D`, `token\\\\u003d`, `token\x3d`, `x-amz-security-token: `, `token='`, `token%26%2361%3B`, `x%26signature%3d`,
		`Authorization%3A%20Bearer%20`, `authorization\u0022:\u0022Bearer `,
	} {
		for _, secret := range []string{token, opaque} {
			for _, behind := range []string{"", `"}`, `\" more`, `&x=1`, ` more`} {
				if got := media.Redact(before + secret + behind); strings.Contains(got, secret[4:]) {
					t.Errorf("%s shows in %s", secret, got)
				}
			}
		}
	}
	for _, text := range []string{"token: " + token, "got " + token + ".", `["` + token + `"]`, "%2" + token, `\u002` + token, "&" + token + ";"} {
		if got := media.Redact(text); strings.Contains(got, signature) {
			t.Errorf("the token shows in %s", got)
		}
	}
}

// The ways in which others put a text into theirs; the last three leave no
// character as it was.
var escapes = []func(string) string{
	url.QueryEscape,
	func(s string) string { b, _ := json.Marshal(s); return string(b[1 : len(b)-1]) },
	html.EscapeString,
	func(s string) string { return strings.ReplaceAll(s, "/", `\/`) },
	func(s string) string { return eachByte(s, "%%%02x") },
	func(s string) string { return eachByte(s, `\u%04X`) },
	func(s string) string { return eachByte(s, "&#%d;") },
}

func eachByte(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

// escaped is the text through a composition of at most three escapes.
func escaped(text string, how uint16) string {
	for range 3 {
		if n := int(how % 8); n < len(escapes) {
			text = escapes[n](text)
		}
		how /= 8
	}
	return text
}

// shown is what a reader can make of the text, given time.
func shown(text string) string {
	for {
		plain := html.UnescapeString(text)
		if unescaped, err := url.PathUnescape(plain); err == nil {
			plain = unescaped
		}
		var unquoted string
		if json.Unmarshal([]byte(`"`+plain+`"`), &unquoted) == nil {
			plain = unquoted
		}
		if plain == text {
			return text
		}
		text = plain
	}
}

func FuzzRedact(f *testing.F) {
	token := ofOurs(f)
	_, signature, _ := strings.Cut(token, ".")
	for how := range uint16(512) {
		f.Add(how, "", "")
		f.Add(how, "bad https://x/webhook?token=", "&x=1")
		f.Add(how, `{"token": "`, `", "a/b": "ü%"}`)
	}
	f.Fuzz(func(t *testing.T, how uint16, before, behind string) {
		if len(before)+len(behind) > 40 {
			return // what is cut off proves nothing
		}
		got := media.Redact(escaped(before+token+behind, how))
		if !utf8.ValidString(got) || len(got) > 1024 {
			t.Errorf("%q is not fit to be stored", got)
		}
		if strings.Contains(got, signature) || strings.Contains(shown(got), signature) {
			t.Errorf("the token shows in %q", got)
		}
	})
}

func FuzzRedactKnownSecret(f *testing.F) {
	for how := range uint16(512) {
		f.Add(how, "ittybit_live_a/b+c&d=e", "your key ", " is wrong")
		f.Add(how, `k"</%41&amp;>/u0041`, "", "")
	}
	f.Fuzz(func(t *testing.T, how uint16, secret, before, behind string) {
		if len(secret) < 8 || len(secret)+len(before)+len(behind) > 60 || strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
			return // no key: a header does not carry it, or it is an escape by itself
		}
		inner := escaped(secret, how)
		text := media.Redact(before+" "+inner+" "+behind, "", secret)
		if strings.Contains(text, " "+inner+" ") && !strings.Contains(before+behind, inner) {
			t.Errorf("%q shows as %q in %q", secret, inner, text)
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	for name, text := range map[string]string{
		"a word":     "succeeded",
		"an error":   "ittybit: create job: HTTP 422 invalid_input: the input could not be read: s3://my-media-bucket/uploads/holiday.mov",
		"with marks": `ittybit: create job: HTTP 500: {\"message\":\"https://store.ittybit.net/a?x=1&y=50%25\",\"code\":\"oops\"} for s3://my-media-bucket/uploads/holiday.mov`,
		"a token":    "bad webhook_url https://x/webhook?token=eyJhbGciOiJIUzI1NiJ9.eyJiIjoibXktbWVkaWEtYnVja2V0In0.c2lnbmF0dXJl&x=1",
		"16 KB":      strings.Repeat("no secret in this one at all, ", 546),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				media.Redact(text)
			}
		})
	}
}
