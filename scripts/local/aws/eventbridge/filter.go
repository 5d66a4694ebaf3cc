package eventbridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// filter is one alternative of a field (Amazon EventBridge User Guide,
// "Comparison operators for use in event patterns"): one of these, or else an
// exact string.
type filter struct {
	exact     string
	operators struct {
		Suffix *struct {
			Fold string `json:"equals-ignore-case"`
		} `json:"suffix"`
		Exists      *bool    `json:"exists"`
		AnythingBut []string `json:"anything-but"` // the field must be there, and differ
	}
}

// UnmarshalJSON refuses what it does not know, and names it.
func (f *filter) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		return json.Unmarshal(text, &f.exact)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f.operators); err != nil {
		return err
	}
	known := 0
	for _, there := range []bool{f.operators.Suffix != nil && f.operators.Suffix.Fold != "", f.operators.Exists != nil, len(f.operators.AnythingBut) > 0} {
		if there {
			known++
		}
	}
	if known != 1 {
		return fmt.Errorf("%s is not one filter with its operand", text)
	}
	if exists := f.operators.Exists; exists != nil && *exists {
		return errors.New("exists takes false here")
	}
	return nil
}

func (f filter) matches(value any, present bool) bool {
	s, isString := value.(string)
	switch o := f.operators; {
	case o.Suffix != nil:
		return isString && strings.HasSuffix(strings.ToLower(s), strings.ToLower(o.Suffix.Fold))
	case o.Exists != nil:
		return !present
	case o.AnythingBut != nil:
		return present && !(isString && slices.Contains(o.AnythingBut, s))
	}
	return isString && s == f.exact
}

func (f filter) String() string {
	switch o := f.operators; {
	case o.Suffix != nil:
		return fmt.Sprintf("suffix %s in any case", encode(o.Suffix.Fold))
	case o.Exists != nil:
		return "exists false"
	case o.AnythingBut != nil:
		return fmt.Sprintf("anything but %s", encode(o.AnythingBut))
	}
	return string(encode(f.exact))
}
