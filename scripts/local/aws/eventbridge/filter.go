package eventbridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// filter is one alternative of a field (Amazon EventBridge User Guide,
// "Comparison operators for use in event patterns").
type filter struct {
	text    string // how a reason names it
	matches func(leaf any) bool
	absent  bool // {"exists": false}: holds where there is no leaf, never for one
}

func compileFilter(value any) (filter, error) {
	switch value := value.(type) {
	case []any:
		return filter{}, errors.New("an array in an array: put its values into the outer one")
	case []member:
		if len(value) != 1 {
			return filter{}, fmt.Errorf("a filter has one key, not %d", len(value))
		}
		return compileOperator(value[0].name, value[0].value)
	default:
		return exactly(value), nil
	}
}

func compileOperator(operator string, operand any) (filter, error) {
	switch operator {
	case "prefix", "suffix":
		return compileAffix(operator, operand)
	case "equals-ignore-case":
		return compileAnyCase(operator, operand, func(s, t string) bool { return s == t })
	case "exists":
		return compileExists(operand)
	case "anything-but":
		return compileAnythingBut(operand)
	}
	return filter{}, fmt.Errorf("unknown filter %q; known here are prefix, suffix, equals-ignore-case, exists and anything-but", operator)
}

// exactly compares numbers as they are written: to EventBridge, 300 and 300.0
// differ.
func exactly(want any) filter {
	return filter{text: quote(want), matches: func(leaf any) bool { return leaf == want }}
}

var affixes = map[string]func(s, affix string) bool{"prefix": strings.HasPrefix, "suffix": strings.HasSuffix}

func compileAffix(operator string, operand any) (filter, error) {
	has := affixes[operator]
	if inner, ok := operand.([]member); ok {
		if len(inner) != 1 || inner[0].name != "equals-ignore-case" {
			return filter{}, fmt.Errorf("%s takes a string or {\"equals-ignore-case\": string}", operator)
		}
		return compileAnyCase(operator, inner[0].value, has)
	}
	want, ok := operand.(string)
	if !ok {
		return filter{}, fmt.Errorf("%s takes a string or {\"equals-ignore-case\": string}", operator)
	}
	return onStrings(operator+" "+quote(want), func(s string) bool { return has(s, want) }), nil
}

func compileAnyCase(operator string, operand any, compare func(s, t string) bool) (filter, error) {
	want, ok := operand.(string)
	if !ok {
		return filter{}, errors.New("equals-ignore-case takes a string")
	}
	text := operator + " " + quote(want)
	if operator != "equals-ignore-case" {
		text += " in any case"
	}
	want = strings.ToLower(want)
	return onStrings(text, func(s string) bool { return compare(strings.ToLower(s), want) }), nil
}

func compileExists(operand any) (filter, error) {
	exists, ok := operand.(bool)
	if !ok {
		return filter{}, errors.New("exists takes true or false")
	}
	return filter{
		text:    fmt.Sprintf("exists %t", exists),
		matches: func(any) bool { return exists },
		absent:  !exists,
	}, nil
}

// compileAnythingBut: the field must be there, and differ.
func compileAnythingBut(operand any) (filter, error) {
	var unwanted []filter
	switch operand := operand.(type) {
	case string, json.Number:
		unwanted = []filter{exactly(operand)}
	case []any:
		for _, value := range operand {
			switch value.(type) {
			case string, json.Number:
				unwanted = append(unwanted, exactly(value))
			default:
				return filter{}, errors.New("anything-but lists strings and numbers only")
			}
		}
	case []member:
		if len(operand) != 1 || affixes[operand[0].name] == nil {
			return filter{}, errors.New(`anything-but takes a string, a number, a list of them, {"prefix": …} or {"suffix": …}`)
		}
		affix, ok := operand[0].value.(string)
		if !ok || affix == "" {
			return filter{}, fmt.Errorf("anything-but %s takes a string that is not empty", operand[0].name)
		}
		f, err := compileAffix(operand[0].name, affix)
		if err != nil {
			return filter{}, err
		}
		unwanted = []filter{f}
	}
	if len(unwanted) == 0 {
		return filter{}, errors.New("anything-but takes a string, a number, a list of them, a prefix or a suffix")
	}
	return filter{text: "anything but " + list(unwanted), matches: func(leaf any) bool { return !anyMatches(unwanted, leaf) }}, nil
}

func onStrings(text string, matches func(s string) bool) filter {
	return filter{text: text, matches: func(leaf any) bool {
		s, ok := leaf.(string)
		return ok && matches(s)
	}}
}

func anyMatches(filters []filter, leaf any) bool {
	for _, f := range filters {
		if f.matches(leaf) {
			return true
		}
	}
	return false
}

func list(filters []filter) string {
	texts := make([]string, len(filters))
	for i, f := range filters {
		texts[i] = f.text
	}
	return strings.Join(texts, ", ")
}
