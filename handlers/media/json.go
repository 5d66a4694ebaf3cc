package media

import (
	"bytes"
	"encoding/json"
	"errors"
)

// MarshalJSON is json.Marshal without the escapes that only HTML needs: keys
// reach the other side as people know them.
func MarshalJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// JSONError keeps of a decoding error what helps, never the text that was
// decoded.
func JSONError(err error) error {
	return errors.New(Redact(err.Error()))
}
