package dynamodb

import (
	"maps"
	"slices"
	"strings"

	"github.com/truora/minidyn/interpreter/language"
)

// update applies an update expression to a row, which stays as it is. It gives
// the new row and the names of the top-level attributes that the expression
// writes.
//
// The library would apply the actions one after the other and rewrite every
// attribute. So it is given the actions of one top-level attribute at a time,
// each time with the old row: every right-hand side sees the old values, as on
// AWS, and what is not mentioned stays byte for byte.
func (e expressions) update(text string, old item) (updated item, touched []string, err error) {
	updated = maps.Clone(old)
	if text == "" {
		return updated, nil, nil
	}
	parser := language.NewUpdateParser(language.NewLexer(text))
	statement := parser.ParseUpdateExpression()
	if problems := parser.Errors(); len(problems) > 0 {
		return nil, nil, invalid("Invalid UpdateExpression: %s", strings.Join(problems, "; "))
	}
	parsed, ok := statement.Expression.(*language.UpdateExpression)
	if !ok {
		return nil, nil, invalid("Invalid UpdateExpression: %q has no action", text)
	}
	groups := map[string][]language.Expression{}
	var paths [][]string
	for _, x := range parsed.Expressions {
		action, ok := x.(*language.ActionExpression)
		if !ok {
			return nil, nil, invalid("Invalid UpdateExpression: %s", x.String())
		}
		path, ok := e.path(action.Left)
		if !ok {
			return nil, nil, invalid("Invalid UpdateExpression: %s is no document path", action.Left.String())
		}
		for _, other := range paths {
			if n := min(len(path), len(other)); slices.Equal(path[:n], other[:n]) {
				return nil, nil, invalid("Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: %v, path two: %v", other, path)
			}
		}
		paths = append(paths, path)
		groups[path[0]] = append(groups[path[0]], action)
	}
	touched = slices.Sorted(maps.Keys(groups))
	for _, name := range touched {
		after, err := e.evaluate(&language.UpdateExpression{Token: parsed.Token, Expressions: groups[name]}, old)
		if err != nil {
			return nil, nil, err
		}
		if v, ok := after[name]; ok {
			updated[name] = v
		} else {
			delete(updated, name)
		}
	}
	return updated, touched, nil
}

// evaluate runs actions on a copy of a row.
func (e expressions) evaluate(actions *language.UpdateExpression, old item) (item, error) {
	env := language.NewEnvironment()
	env.Aliases = maps.Clone(e.names)
	placeholders := map[string]bool{}
	for name := range e.values {
		placeholders[name] = true
	}
	// AddAttributes copies into the library's own types, so the old row is safe.
	for _, attributes := range []item{old, e.values} {
		if err := env.AddAttributes(attributes); err != nil {
			return nil, invalid("%s", err)
		}
	}
	if result := language.EvalUpdate(&language.UpdateStatement{Token: actions.Token, Expression: actions}, env); result != nil {
		if problem, failed := result.(*language.Error); failed {
			return nil, invalid("Invalid UpdateExpression: %s", problem.Message)
		}
	}
	after := item{}
	env.Apply(after, e.names, placeholders)
	return after, nil
}
