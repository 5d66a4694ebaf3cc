package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ittybit-media/handlers/media"
)

// Errors of encoding/json quote what they stumble over, so none of them is
// passed on from here.

// APIKey reads an API key: the bare key, white space around it removed, or a
// JSON object with the key in "api_key", as the console of Secrets Manager
// makes it. A key that cannot stand in an HTTP header is an error.
func APIKey(text string) (string, error) {
	key := strings.TrimSpace(text)
	if strings.HasPrefix(key, "{") {
		var object struct {
			Key string `json:"api_key"`
		}
		if json.Unmarshal([]byte(key), &object) != nil {
			return "", errors.New(`the secret starts like a JSON object but is not one with a text in "api_key": store the bare API key, or {"api_key": "…"}`)
		}
		if key = strings.TrimSpace(object.Key); key == "" {
			return "", errors.New(`the secret is a JSON object without a text in "api_key": store the bare API key, or {"api_key": "…"}`)
		}
	}
	if key == "" {
		return "", errors.New("the secret is empty: store the API key in it")
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("the API key holds a space, a line break or a character beyond ASCII: store the bare key and nothing else")
	}
	return key, nil
}

// Texts reads a list of secrets in the order they stand in: a JSON list of
// strings, or one plain text, white space around it removed. It has one element
// at least, and none is empty.
func Texts(text string) ([]string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, errors.New(`the secret is empty: store one text in it, or a JSON list like ["newest", "older"]`)
	case strings.HasPrefix(text, "{"):
		return nil, errors.New(`the secret is a JSON object: store one text in it, or a JSON list like ["newest", "older"]`)
	case !strings.HasPrefix(text, "["):
		return []string{text}, nil
	}
	// Pointers, for a null would pass as an empty string.
	var list []*string
	if json.Unmarshal([]byte(text), &list) != nil {
		return nil, errors.New("the secret starts like a JSON list but is not one of strings")
	}
	if len(list) == 0 {
		return nil, errors.New("the secret is an empty JSON list: it needs one string at least")
	}
	texts := make([]string, len(list))
	for i, p := range list {
		if p == nil || *p == "" {
			return nil, fmt.Errorf("entry %d of the secret's JSON list is empty", i+1)
		}
		texts[i] = *p
	}
	return texts, nil
}

// CallbackKeys reads the keys that callback tokens are signed with, the newest
// first: a list as [Texts] takes it.
func CallbackKeys(text string) (media.CallbackKeys, error) {
	list, err := Texts(text)
	if err != nil {
		return nil, err
	}
	return media.NewCallbackKeys(list)
}
