package ittybit

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ittybit-media/handlers/media"
)

// What follows reads values whose type is not certain: one that is missing or
// cannot be read is the zero value, never an error.

func isText(raw json.RawMessage) bool   { return len(raw) > 0 && raw[0] == '"' }
func isObject(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '{' }
func isList(raw json.RawMessage) bool   { return len(raw) > 0 && raw[0] == '[' }
func isNull(raw json.RawMessage) bool   { return len(raw) == 0 || raw[0] == 'n' }

func text(raw json.RawMessage) string {
	if !isText(raw) {
		return ""
	}
	// Most texts stand in JSON as they are: a decoder for each would make a
	// third of all allocations of a callback.
	if inside := raw[1 : len(raw)-1]; bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) {
		return string(inside)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// clip cuts s to at most n bytes, not in the middle of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// number reads a JSON number, or a text that is one.
func number(raw json.RawMessage) (float64, bool) {
	if len(raw) == 0 {
		return 0, false
	}
	digits := string(raw)
	if isText(raw) {
		digits = text(raw)
	}
	n, err := strconv.ParseFloat(digits, 64)
	return n, err == nil && !math.IsNaN(n) // an infinity is out of every range below
}

// exact is the largest number up to which a float64 has every integer.
const exact = 1 << 53

// milliseconds is a duration, nil when there is none.
func milliseconds(raw json.RawMessage) *int64 {
	n, ok := number(raw)
	if !ok || n < 0 || n > exact {
		return nil
	}
	return new(int64(math.Round(n)))
}

func pixels(raw json.RawMessage) int {
	n, ok := number(raw)
	if !ok || n < 0 || n > math.MaxInt32 {
		return 0
	}
	return int(n)
}

const (
	// Unix times below it are seconds, others milliseconds: as milliseconds it
	// is in March 1973, as seconds in the year 5138.
	leastMilliseconds = 1e11
	// lastMillisecond ends the year 9999, the last one of RFC 3339.
	lastMillisecond = 253_402_300_799_999
)

// firstTime is the first of the values that is a time.
func firstTime(values ...json.RawMessage) time.Time {
	for _, raw := range values {
		n, ok := number(raw)
		if !ok {
			if t, err := time.Parse(time.RFC3339, text(raw)); err == nil {
				return t.UTC()
			}
			continue
		}
		if n < leastMilliseconds {
			n *= 1000
		}
		if n >= 1 && n <= lastMillisecond {
			return time.UnixMilli(int64(math.Round(n))).UTC()
		}
	}
	return time.Time{}
}

// urlOf reads a URL that is a text or the url of an object; "" for one that is
// too long.
func urlOf(raw json.RawMessage) string {
	if u := anyURL(raw); len(u) <= maxURL {
		return u
	}
	return ""
}

// anyURL is [urlOf] for URLs of any length.
func anyURL(raw json.RawMessage) string {
	if isObject(raw) {
		var file struct {
			URL json.RawMessage `json:"url"`
		}
		if json.Unmarshal(raw, &file) != nil {
			return ""
		}
		raw = file.URL
	}
	return text(raw)
}

// outputs reads the files of a job, each a URL or an object, alone or in lists,
// in their order; one that is told twice is there once. Omitted are those whose
// URL is too long, and those after the first maxOutputs.
func outputs(values ...json.RawMessage) (files []media.Output, omitted int) {
	seen := map[string]bool{"": true}
	add := func(raw json.RawMessage) {
		file := output(raw)
		switch {
		case seen[file.URL]:
			return
		case len(file.URL) > maxURL || len(files) == maxOutputs:
			omitted++
		default:
			files = append(files, file)
		}
		seen[file.URL] = true
	}
	for _, raw := range values {
		if !isList(raw) {
			add(raw)
			continue
		}
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			continue
		}
		for _, raw := range list {
			add(raw)
		}
	}
	return files, omitted
}

func output(raw json.RawMessage) media.Output {
	file := media.Output{URL: anyURL(raw)}
	if file.URL == "" || !isObject(raw) {
		return file
	}
	var more struct {
		Kind   json.RawMessage `json:"kind"`
		Format json.RawMessage `json:"format"`
		Width  json.RawMessage `json:"width"`
		Height json.RawMessage `json:"height"`
	}
	if json.Unmarshal(raw, &more) != nil {
		return file
	}
	file.Kind = clip(text(more.Kind), maxWord)
	file.Format = clip(text(more.Format), maxWord)
	file.Width, file.Height = pixels(more.Width), pixels(more.Height)
	return file
}

// failure puts the error of a job into words: a text as it is, anything else as
// compact JSON, so that no part of it is lost.
func failure(raw json.RawMessage) string {
	switch {
	case isNull(raw):
		return ""
	case isText(raw):
		return redact(text(raw))
	default:
		return redact(compact(raw))
	}
}

// redact is [media.Redact] for texts that can be as long as a body: it searches
// a megabyte for longer than a callback has time, only to keep the first KB.
func redact(s string, secrets ...string) string {
	const enough = 16 << 10 // bytes
	return media.Redact(clip(s, enough), secrets...)
}

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return ""
	}
	return b.String()
}

// metadata reads the pairs that we gave to the job. They were texts; a number
// or the like is one that was converted on its way.
func metadata(raw json.RawMessage) map[string]string {
	var pairs map[string]json.RawMessage
	if !isObject(raw) || json.Unmarshal(raw, &pairs) != nil || len(pairs) == 0 {
		return nil
	}
	m := make(map[string]string, len(pairs))
	for name, value := range pairs {
		switch {
		case isNull(value): // as good as missing
		case isText(value):
			m[name] = text(value)
		default:
			m[name] = compact(value)
		}
	}
	return m
}
