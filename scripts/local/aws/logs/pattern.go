package logs

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// compile reads a filter pattern (Amazon CloudWatch Logs User Guide, "Filter
// pattern syntax"): an empty one, which matches every line; a term in quotes,
// which matches lines that have it; or a pattern of JSON fields that are equal
// to texts, all of them, where an asterisk at the end of a text stands for any
// more of it ("FilterPattern.stringValue", AWS CDK API Reference):
//
//	{ $.key = "uploads/*" && $.error.kind = "poison" }
//
// In quotes, a backslash stands before a quote or another backslash. The error
// is of any other pattern, although AWS knows more: a local pipeline that
// guessed would be of no use.
func compile(pattern string) (matches func(line string) bool, err error) {
	p := &parser{rest: strings.TrimSpace(pattern)}
	switch {
	case p.rest == "":
		return func(string) bool { return true }, nil
	case p.take("{"):
		fields, err := p.fields()
		if err != nil {
			return nil, err
		}
		return func(line string) bool { return fields.match(line) }, p.end()
	}
	term, err := p.text()
	if err != nil {
		return nil, err
	}
	return func(line string) bool { return strings.Contains(line, term) }, p.end()
}

// field is a path into JSON and the text that must be there.
type field struct {
	path  []string
	want  string
	begin bool // the text need only begin so
}

type fields []field

func (all fields) match(line string) bool {
	var value any
	if json.Unmarshal([]byte(line), &value) != nil {
		return false
	}
	for _, f := range all {
		at := value
		for _, name := range f.path {
			object, _ := at.(map[string]any)
			at = object[name]
		}
		text, ok := at.(string)
		if !ok || text != f.want && !(f.begin && strings.HasPrefix(text, f.want)) {
			return false
		}
	}
	return true
}

type parser struct{ rest string }

// take skips a token and the spaces around it, if it is the next.
func (p *parser) take(token string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSpace(p.rest), token)
	if ok {
		p.rest = strings.TrimSpace(rest)
	}
	return ok
}

func (p *parser) end() error {
	if p.rest != "" {
		return fmt.Errorf("the local pipeline does not know what %q means", p.rest)
	}
	return nil
}

// fields reads what is within braces, and the second of them.
func (p *parser) fields() (all fields, err error) {
	for {
		if !p.take("$.") {
			return nil, fmt.Errorf("$.FIELD is expected before %q", p.rest)
		}
		after := strings.TrimLeftFunc(p.rest, nameRune)
		path := strings.Split(strings.TrimSuffix(p.rest, after), ".")
		if slices.Contains(path, "") {
			return nil, fmt.Errorf("the name of a field is expected before %q", p.rest)
		}
		p.rest = after
		if !p.take("=") {
			return nil, fmt.Errorf("the local pipeline knows no comparison but = before %q", p.rest)
		}
		want, err := p.text()
		if err != nil {
			return nil, err
		}
		want, begin := strings.CutSuffix(want, "*")
		if strings.Contains(want, "*") {
			return nil, errors.New("the local pipeline knows *, which stands for any text here, only at the end")
		}
		all = append(all, field{path, want, begin})
		switch {
		case p.take("}"):
			return all, nil
		case !p.take("&&"):
			return nil, fmt.Errorf("} or && is expected before %q", p.rest)
		}
	}
}

func nameRune(r rune) bool {
	return r == '.' || r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// text reads what is in quotes.
func (p *parser) text() (string, error) {
	rest, ok := strings.CutPrefix(p.rest, `"`)
	var b strings.Builder
	for i := 0; ok && i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '"':
			p.rest = strings.TrimSpace(rest[i+1:])
			return b.String(), nil
		case c == '\\' && i+1 < len(rest) && (rest[i+1] == '"' || rest[i+1] == '\\'):
			i++
			b.WriteByte(rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", fmt.Errorf("a text in quotes is expected before %q", p.rest)
}
