package eventbridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// member is one key of a JSON object, in the order it was written.
type member struct {
	name  string
	value any
}

// decode reads one JSON value: objects become []member, numbers stay as written.
// encoding/json's own decoding into maps would drop a key that is said twice,
// which EventBridge refuses.
func decode(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	value, err := decodeValue(dec, nil)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the JSON value, before byte %d", dec.InputOffset())
	}
	return value, nil
}

func decodeValue(dec *json.Decoder, path []string) (any, error) {
	token, err := next(dec)
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return decodeObject(dec, path)
	case json.Delim('['):
		values := []any{}
		for dec.More() {
			value, err := decodeValue(dec, path)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
		}
		_, err := next(dec)
		return values, err
	}
	return token, nil
}

func decodeObject(dec *json.Decoder, path []string) ([]member, error) {
	members := []member{}
	seen := map[string]bool{}
	for dec.More() {
		token, err := next(dec)
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("%s: a key must be a string", at(path))
		}
		path := append(path[:len(path):len(path)], name)
		if seen[name] {
			return nil, fmt.Errorf("%s is said twice", at(path))
		}
		seen[name] = true
		value, err := decodeValue(dec, path)
		if err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
	}
	_, err := next(dec)
	return members, err
}

func next(dec *json.Decoder) (json.Token, error) {
	token, err := dec.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("not JSON, after byte %d: %w", dec.InputOffset(), err)
	}
	return token, nil
}

// encode is the inverse, with <, > and & as they are. It is for values that
// encoding/json cannot refuse.
func encode(value any) []byte {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(value)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}
