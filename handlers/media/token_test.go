package media_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"ittybit-media/handlers/media"
)

var (
	newest = strings.Repeat("n", 32)
	older  = strings.Repeat("o", 40)
)

func keys(t testing.TB, secrets ...string) media.CallbackKeys {
	t.Helper()
	k, err := media.NewCallbackKeys(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, k media.CallbackKeys, r media.JobRef) string {
	t.Helper()
	token, err := k.Sign(r)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenRoundTrip(t *testing.T) {
	t.Parallel()
	k := keys(t, newest)
	for _, key := range []string{"uploads/video.mov", "a b+c%41#?&\"'<>/../ü😀\u200f.mov", strings.Repeat("\x01", 1024), "bytes \xff\xfe"} {
		r := ref
		r.Key = key
		token := sign(t, k, r)
		if token != sign(t, k, r) {
			t.Error("the same job gets another token")
		}
		got, err := k.Verify(token)
		if err != nil || got != r {
			t.Errorf("%q comes back as %+v, %v", key, got, err)
		}
		if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Errorf("the token needs escaping in a URL: %s", token)
		}
		// API Gateway takes 10,240 bytes of request line and headers.
		if len(token) > 4096 {
			t.Errorf("a key of %d bytes makes a token of %d", len(key), len(token))
		}
	}
}

func TestTokenSaysNoMoreThanItsContract(t *testing.T) {
	t.Parallel()
	parts := strings.Split(sign(t, keys(t, newest), ref), ".")
	decode := func(part string) map[string]any {
		data, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	header, claims := decode(parts[0]), decode(parts[1])
	if kid, _ := header["kid"].(string); header["alg"] != "HS256" || len(kid) != 8 {
		t.Errorf("header %v", header)
	}
	if len(claims) != 5 || claims["b"] != ref.Bucket || claims["u"] != ref.Upload || claims["j"] != ref.Job || claims["a"] != float64(1) ||
		claims["k"] != base64.StdEncoding.EncodeToString([]byte(ref.Key)) {
		t.Errorf("claims %v", claims)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	before, after := keys(t, older), keys(t, newest, older)
	if got, err := after.Verify(sign(t, before, ref)); err != nil || got != ref {
		t.Errorf("a token from before the rotation: %v", err)
	}
	if _, err := before.Verify(sign(t, after, ref)); !errors.Is(err, media.ErrUnknownKey) {
		t.Errorf("a token with a key that is not known yet: %v", err)
	}
	if _, err := keys(t, newest).Verify(sign(t, before, ref)); !errors.Is(err, media.ErrUnknownKey) {
		t.Errorf("a revoked token: %v", err)
	}
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	k := keys(t, newest)
	good := sign(t, k, ref)
	parts := strings.Split(good, ".")
	var header map[string]any
	data, _ := base64.RawURLEncoding.DecodeString(parts[0])
	if err := json.Unmarshal(data, &header); err != nil {
		t.Fatal(err)
	}
	kid := header["kid"]
	claims := func(c jwt.MapClaims) jwt.MapClaims {
		all := jwt.MapClaims{"b": ref.Bucket, "k": []byte(ref.Key), "u": ref.Upload, "j": ref.Job, "a": 1}
		for name, value := range c {
			if value == nil {
				delete(all, name)
			} else {
				all[name] = value
			}
		}
		return all
	}
	signed := func(method jwt.SigningMethod, secret any, kid any, c jwt.MapClaims) string {
		token := jwt.NewWithClaims(method, c)
		if kid != nil {
			token.Header["kid"] = kid
		}
		s, err := token.SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Verify(signed(jwt.SigningMethodHS256, []byte(newest), kid, claims(nil))); err != nil {
		t.Fatalf("what the forgeries are made from is itself refused: %v", err)
	}
	for name, tt := range map[string]struct {
		token string
		want  error
	}{
		"nothing":             {want: media.ErrBadToken},
		"no token":            {token: "token", want: media.ErrBadToken},
		"another key":         {token: signed(jwt.SigningMethodHS256, []byte(older), kid, claims(nil)), want: media.ErrBadToken},
		"unknown kid":         {token: signed(jwt.SigningMethodHS256, []byte(older), "00000000", claims(nil)), want: media.ErrUnknownKey},
		"no kid":              {token: signed(jwt.SigningMethodHS256, []byte(newest), nil, claims(nil)), want: media.ErrUnknownKey},
		"a kid of a kind":     {token: signed(jwt.SigningMethodHS256, []byte(newest), 7, claims(nil)), want: media.ErrUnknownKey},
		"none":                {token: signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, claims(nil)), want: media.ErrBadToken},
		"HS512":               {token: signed(jwt.SigningMethodHS512, []byte(newest), kid, claims(nil)), want: media.ErrBadToken},
		"RS256":               {token: signed(jwt.SigningMethodRS256, rsaKey, kid, claims(nil)), want: media.ErrBadToken},
		"changed claims":      {token: parts[0] + "." + strings.Split(signed(jwt.SigningMethodHS256, []byte(older), kid, claims(jwt.MapClaims{"k": []byte("b")})), ".")[1] + "." + parts[2], want: media.ErrBadToken},
		"no signature":        {token: parts[0] + "." + parts[1] + ".", want: media.ErrBadToken},
		"half a signature":    {token: good[:len(good)-4], want: media.ErrBadToken},
		"a space behind it":   {token: good + " ", want: media.ErrBadToken},
		"no upload":           {token: signed(jwt.SigningMethodHS256, []byte(newest), kid, claims(jwt.MapClaims{"u": nil})), want: media.ErrBadToken},
		"no key":              {token: signed(jwt.SigningMethodHS256, []byte(newest), kid, claims(jwt.MapClaims{"k": nil})), want: media.ErrBadToken},
		"a key of a kind":     {token: signed(jwt.SigningMethodHS256, []byte(newest), kid, claims(jwt.MapClaims{"k": 7})), want: media.ErrBadToken},
		"expired, not by us":  {token: signed(jwt.SigningMethodHS256, []byte(newest), kid, claims(jwt.MapClaims{"exp": 1})), want: media.ErrBadToken},
		"an upload of a kind": {token: signed(jwt.SigningMethodHS256, []byte(newest), kid, claims(jwt.MapClaims{"u": []string{"x"}})), want: media.ErrBadToken},
	} {
		got, err := k.Verify(tt.token)
		if !errors.Is(err, tt.want) || got != (media.JobRef{}) {
			t.Errorf("%s: %+v, %v; want %v", name, got, err, tt.want)
		}
		if len(tt.token) > 20 && strings.Contains(err.Error(), tt.token[:20]) {
			t.Errorf("%s: the error quotes the token", name)
		}
	}
}

func TestUnusableCallbackKeys(t *testing.T) {
	t.Parallel()
	for name, secrets := range map[string][]string{"none": nil, "empty": {""}, "short": {newest, strings.Repeat("s", 31)}} {
		k, err := media.NewCallbackKeys(secrets)
		if err == nil {
			t.Errorf("%s: accepted as %d keys", name, len(k))
		} else if strings.Contains(err.Error(), "sss") {
			t.Errorf("%s: the error quotes the key", name)
		}
	}
	var zero media.CallbackKeys
	if _, err := zero.Sign(ref); err == nil {
		t.Error("no key signs")
	}
	if _, err := zero.Verify(sign(t, keys(t, newest), ref)); err == nil {
		t.Error("no key verifies")
	}
}

func FuzzVerify(f *testing.F) {
	k := keys(f, newest)
	good := sign(f, k, ref)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add("a.b.c")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		got, err := k.Verify(token)
		if err == nil && (token != good || got != ref) {
			t.Errorf("accepted %q as %+v", token, got)
		}
	})
}
