package chaos

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/url"
	"strings"

	"ittybit-media/scripts/local/fakeittybit"
)

// forge sends webhook a callback that is not Ittybit's, while the job is being
// worked on: it says that the job failed.
func (i *injector) forge(j fakeittybit.Job) {
	token := tokenOf(j.WebhookURL)
	i.mu.Lock()
	other := i.token
	i.token = token
	i.mu.Unlock()
	kind := i.next(keyOf(j.Input), opForge, j.Kind)
	metadata := maps.Clone(j.Metadata)
	switch kind {
	case ForgedKey:
		token = resign(token, i.foreign())
	case ForgedUnsigned:
		token = unsigned(token)
	case ForgedToken:
		if other == "" {
			return
		}
		token = other
	case ForgedMetadata:
		metadata["source_key"] += "x"
	case ForgedBare:
		token = ""
	default:
		return
	}
	i.count(kind)
	status, err := i.post(token, map[string]any{
		"id": j.ID, "object": "job", "kind": j.Kind, "status": "failed", "metadata": metadata,
		"error": map[string]string{"kind": "forged", "message": "forged"},
	})
	if err == nil && status/100 == 2 {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.accepted++
	}
}

func (i *injector) post(token string, callback any) (status int, err error) {
	body, err := json.Marshal(callback)
	if err != nil {
		return 0, err
	}
	target := i.pipeline.WebhookURL
	if token != "" {
		target += "?token=" + url.QueryEscape(token)
	}
	r, err := i.client.Post(target, "application/json", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return r.StatusCode, err
}

func tokenOf(webhook string) string {
	u, err := url.Parse(webhook)
	if err != nil {
		return ""
	}
	return u.Query().Get("token")
}

// resign is a token that says the same, key id included, under another key.
func resign(token, secret string) string {
	signed := token[:strings.LastIndex(token, ".")]
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// unsigned is a token that says the same and claims to need no signature.
func unsigned(token string) string {
	parts := strings.Split(token, ".")
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	return header + "." + parts[1] + "."
}
