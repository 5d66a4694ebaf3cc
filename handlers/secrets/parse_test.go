package secrets_test

import (
	"slices"
	"strings"
	"testing"

	"ittybit-media/handlers/secrets"
)

func TestAPIKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want, wantErr string }{
		{"key_1", "key_1", ""},
		{" \tkey_1\r\n", "key_1", ""},
		{`{"api_key": "key_1"}`, "key_1", ""},
		{"\n{\"api_key\": \" key_1\\n\", \"owner\": 7}\n", "key_1", ""},
		{"", "", "empty"},
		{" \n", "", "empty"},
		{"{}", "", `"api_key"`},
		{`{"api_key": ""}`, "", `"api_key"`},
		{`{"apikey": "` + hidden + `"}`, "", `"api_key"`},
		{`{"api_key": ["` + hidden + `"]}`, "", `"api_key"`},
		{`{"api_key": "` + hidden, "", `"api_key"`},
		{`{"api_key": "` + hidden + `"} x`, "", `"api_key"`},
		{"ITTYBIT_API_KEY: " + hidden, "", "a space"},
		{hidden + "\n" + hidden, "", "a line break"},
		{"\ufeff" + hidden, "", "beyond ASCII"},
		{`{"api_key": "` + hidden + `\u0000"}`, "", "a space"},
	} {
		got, err := secrets.APIKey(c.text)
		check(t, c.text, err, c.wantErr)
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text    string
		want    []string
		wantErr string
	}{
		{"whsec_1\n", []string{"whsec_1"}, ""},
		{`["new", "old"]`, []string{"new", "old"}, ""},
		{" [\"new\"]\n", []string{"new"}, ""},
		{"", nil, "empty"},
		{"\n", nil, "empty"},
		{"[]", nil, "empty JSON list"},
		{`["` + hidden + `", ""]`, nil, "entry 2"},
		{`["` + hidden + `", null]`, nil, "entry 2"},
		{`["` + hidden + `", 7]`, nil, "not one of strings"},
		{`["` + hidden, nil, "not one of strings"},
		{`{"key": "` + hidden + `"}`, nil, "JSON object"},
	} {
		got, err := secrets.Texts(c.text)
		check(t, c.text, err, c.wantErr)
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// check compares an error and makes sure that no part of the secret is in it.
func check(t *testing.T, text string, err error, want string) {
	t.Helper()
	switch {
	case (err == nil) != (want == ""):
		t.Errorf("%q: error %v, want %q", text, err, want)
	case err == nil:
	case !strings.Contains(err.Error(), want):
		t.Errorf("%q: error %q does not say %q", text, err, want)
	case strings.Contains(err.Error(), hidden):
		t.Errorf("%q: the error holds the secret: %q", text, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"key", `{"api_key":"k"}`, `["a","b"]`, "[", "{", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := secrets.APIKey(text); (err == nil) == (key == "") {
			t.Errorf("APIKey: %q, %v", key, err)
		}
		if texts, err := secrets.Texts(text); (err == nil) == (len(texts) == 0) || slices.Contains(texts, "") {
			t.Errorf("Texts: %q, %v", texts, err)
		}
	})
}
