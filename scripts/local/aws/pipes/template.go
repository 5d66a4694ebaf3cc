package pipes

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// template is an input template: texts, and between them the paths of what is
// filled in.
type template struct {
	texts []string // one more than paths
	paths []path
}

var (
	placeholder = regexp.MustCompile(`<[^<>]*>`)
	pathSyntax  = regexp.MustCompile(`^\$(\.[A-Za-z0-9_-]+)+$`)
)

// compileTemplate reads a template of a JSON object whose placeholders are
// paths in quotes.
func compileTemplate(text string) (template, error) {
	if text = strings.TrimSpace(text); !strings.HasPrefix(text, "{") || !json.Valid([]byte(placeholder.ReplaceAllLiteralString(text, ""))) {
		return template{}, errors.New("it must be a JSON object whose placeholders stand in quotes")
	}
	t := template{texts: placeholder.Split(text, -1)}
	for _, found := range placeholder.FindAllString(text, -1) {
		p, err := compilePath(found[1 : len(found)-1])
		if err != nil {
			return template{}, err
		}
		t.paths = append(t.paths, p)
	}
	return t, nil
}

// render fills the template in.
func (t template) render(record any) (json.RawMessage, error) {
	var b strings.Builder
	b.WriteString(t.texts[0])
	for i, p := range t.paths {
		value, err := p.text(record)
		if err != nil {
			return nil, err
		}
		b.WriteString(value)
		b.WriteString(t.texts[i+1])
	}
	return json.RawMessage(b.String()), nil
}

// path is a JSON path of names.
type path []string

func (p path) String() string { return "$." + strings.Join(p, ".") }

func compilePath(text string) (path, error) {
	if !pathSyntax.MatchString(text) {
		return nil, fmt.Errorf("%q is not a path of names, such as $.dynamodb.Keys", text)
	}
	return strings.Split(text, ".")[1:], nil
}

// text is the string at the path, which can stand between quotes as it is: ""
// if there is nothing.
func (p path) text(record any) (string, error) {
	for _, name := range p {
		members, _ := record.(map[string]any)
		record = members[name]
	}
	value, ok := record.(string)
	switch {
	case record == nil:
		return "", nil
	case !ok:
		return "", fmt.Errorf("%s is no string in the record: what a pipe makes of that is not certain", p)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' }):
		return "", fmt.Errorf("%s has a character that JSON would escape, %q: a pipe may fill it in as it is", p, value)
	}
	return value, nil
}
