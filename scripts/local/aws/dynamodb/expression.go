package dynamodb

import (
	"maps"
	"slices"
	"strings"

	"github.com/truora/minidyn/interpreter"
	"github.com/truora/minidyn/interpreter/language"
)

// expressions are one request's names and values.
type expressions struct {
	names  map[string]string
	values item
}

// validate refuses what AWS refuses before it looks at any row: placeholders
// that are undefined or unused, and reserved words used as attribute names.
func (e expressions) validate(texts ...string) error {
	if err := checkAll(e.values); err != nil {
		return err
	}
	used := map[string]bool{}
	for _, text := range texts {
		lexer := language.NewLexer(text)
		for token, next := lexer.NextToken(), lexer.NextToken(); token.Type != language.EOF; token, next = next, lexer.NextToken() {
			if token.Type != language.IDENT {
				continue
			}
			used[token.Literal] = true
			switch {
			case strings.HasPrefix(token.Literal, "#"):
				if _, ok := e.names[token.Literal]; !ok {
					return invalid("An expression attribute name used in the document path is not defined; attribute name: %s", token.Literal)
				}
			case strings.HasPrefix(token.Literal, ":"):
				if _, ok := e.values[token.Literal]; !ok {
					return invalid("An expression attribute value used in expression is not defined; attribute value: %s", token.Literal)
				}
			case next.Type != language.LPAREN && language.IsReservedWord(strings.ToUpper(token.Literal)):
				return invalid("Attribute name is a reserved keyword; reserved keyword: %s", token.Literal)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.names)) {
		if !used[name] {
			return invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.values)) {
		if !used[name] {
			return invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", name)
		}
	}
	return nil
}

// match evaluates a condition; an empty one holds.
func (e expressions) match(text string, kind interpreter.ExpressionType, it item) (bool, error) {
	if text == "" {
		return true, nil
	}
	ok, err := new(interpreter.Language).Match(interpreter.MatchInput{
		Expression: text, ExpressionType: kind, Item: it, Attributes: e.values, Aliases: e.names,
	})
	if err != nil {
		return false, invalid("%s", err)
	}
	return ok, nil
}

// project picks the attributes of a projection; an empty one picks all.
func (e expressions) project(text string, it item) (item, error) {
	if text == "" {
		return it, nil
	}
	out, err := new(interpreter.Language).Project(interpreter.ProjectInput{Expression: text, Item: it, Aliases: e.names})
	if err != nil {
		return nil, invalid("%s", err)
	}
	return out, nil
}

// resolve gives the attribute that an expression means by a name.
func (e expressions) resolve(name string) string {
	if actual, ok := e.names[name]; ok {
		return actual
	}
	return name
}

// path spells a document path with placeholders resolved; ok is false for
// anything else.
func (e expressions) path(x language.Expression) (path []string, ok bool) {
	switch x := x.(type) {
	case *language.Identifier:
		return []string{e.resolve(x.Value)}, true
	case *language.IndexExpression:
		if path, ok = e.path(x.Left); !ok {
			return nil, false
		}
		return append(path, e.resolve(x.Index.String())), true
	}
	return nil, false
}
