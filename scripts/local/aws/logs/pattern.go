package logs

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
)

// syntax is that of the one kind of filter pattern that the scripts use: a JSON
// field that equals a text or, with an asterisk at the end, begins with it
// (Amazon CloudWatch Logs User Guide, "Filter pattern syntax").
var syntax = regexp.MustCompile(`^\{ ?\$\.([\w-]+(?:\.[\w-]+)*) ?= ?"([^"\\*]*)(\*?)" ?\}$`)

// compile reads a filter pattern; an empty one matches every line. All else is
// refused: an emulator that guessed would be of no use.
func compile(pattern string) (matches func(line string) bool, err error) {
	if pattern == "" {
		return func(string) bool { return true }, nil
	}
	found := syntax.FindStringSubmatch(pattern)
	if found == nil {
		return nil, errors.New(`only { $.FIELD = "TEXT" } is known here, whose TEXT may end in *`)
	}
	path, want, begins := strings.Split(found[1], "."), found[2], found[3] != ""
	return func(line string) bool {
		var value any
		if json.Unmarshal([]byte(line), &value) != nil {
			return false
		}
		for _, name := range path {
			object, _ := value.(map[string]any)
			value = object[name]
		}
		text, ok := value.(string)
		return ok && (text == want || begins && strings.HasPrefix(text, want))
	}, nil
}
