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
		{text: "key_1", want: "key_1"},
		{text: " \tkey_1\r\n", want: "key_1"},
		{text: `{"api_key": "key_1"}`, want: "key_1"},
		{text: "\n{\"api_key\": \" key_1\\n\", \"owner\": 7}\n", want: "key_1"},
		{wantErr: "empty"},
		{text: " \n", wantErr: "empty"},
		{text: "{}", wantErr: `"api_key"`},
		{text: `{"api_key": ""}`, wantErr: `"api_key"`},
		{text: `{"apikey": "` + hidden + `"}`, wantErr: `"api_key"`},
		{text: `{"api_key": ["` + hidden + `"]}`, wantErr: `"api_key"`},
		{text: `{"api_key": "` + hidden, wantErr: `"api_key"`},
		{text: `{"api_key": "` + hidden + `"} x`, wantErr: `"api_key"`},
		{text: "ITTYBIT_API_KEY: " + hidden, wantErr: "a space"},
		{text: hidden + "\n" + hidden, wantErr: "a line break"},
		{text: "\ufeff" + hidden, wantErr: "beyond ASCII"},
		{text: `{"api_key": "` + hidden + `\u0000"}`, wantErr: "a space"},
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
		{text: "whsec_1\n", want: []string{"whsec_1"}},
		{text: `["new", "old"]`, want: []string{"new", "old"}},
		{text: " [\"new\"]\n", want: []string{"new"}},
		{wantErr: "empty"},
		{text: "\n", wantErr: "empty"},
		{text: "[]", wantErr: "empty JSON list"},
		{text: `["` + hidden + `", ""]`, wantErr: "entry 2"},
		{text: `["` + hidden + `", null]`, wantErr: "entry 2"},
		{text: `["` + hidden + `", 7]`, wantErr: "not one of strings"},
		{text: `["` + hidden, wantErr: "not one of strings"},
		{text: `{"key": "` + hidden + `"}`, wantErr: "JSON object"},
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
