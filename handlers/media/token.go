package media

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// Why a callback token is refused.
var (
	// ErrBadToken: the token was not signed by us, or not for a callback.
	ErrBadToken = errors.New("the callback token is missing or not one of ours")
	// ErrUnknownKey: the token names a key that is not known here; after a
	// rotation, reading the keys again may help.
	ErrUnknownKey = errors.New("the callback token is signed with an unknown key")
)

// minCallbackKey is the least length in bytes of a key: that of the hash
// (RFC 7518, section 3.2).
const minCallbackKey = 32

// CallbackKeys sign and verify callback tokens: the newest key signs, all of
// them verify. The zero value has no key, and refuses.
type CallbackKeys []callbackKey

type callbackKey struct {
	id     string
	secret []byte
}

// NewCallbackKeys takes the keys' texts, newest first.
func NewCallbackKeys(secrets []string) (CallbackKeys, error) {
	if len(secrets) == 0 {
		return nil, errors.New("there is no callback key: the secret must hold a JSON list of at least one string")
	}
	keys := make(CallbackKeys, len(secrets))
	for i, secret := range secrets {
		if len(secret) < minCallbackKey {
			return nil, fmt.Errorf("callback key %d of %d is shorter than %d bytes", i+1, len(secrets), minCallbackKey)
		}
		sum := sha256.Sum256([]byte(secret))
		keys[i] = callbackKey{id: hex.EncodeToString(sum[:4]), secret: []byte(secret)}
	}
	return keys, nil
}

// callbackClaims has the object key as bytes, which JSON carries in base64: a
// key of 1,024 control characters would otherwise grow six times and no longer
// fit into API Gateway's 10,240 bytes of request line and headers. There is no
// time in it: the same job always gets the same URL, and rotation revokes.
type callbackClaims struct {
	Bucket  string `json:"b"`
	Key     []byte `json:"k"`
	Upload  string `json:"u"`
	Job     string `json:"j"`
	Attempt int    `json:"a"`
	jwt.RegisteredClaims
}

var tokenParser = jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithStrictDecoding())

// Sign is the token that lets a callback report on r, the same one every time.
func (keys CallbackKeys) Sign(r JobRef) (string, error) {
	if len(keys) == 0 {
		return "", ErrUnknownKey
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, callbackClaims{
		Bucket:  r.Bucket,
		Key:     []byte(r.Key),
		Upload:  r.Upload,
		Job:     r.Job,
		Attempt: r.Attempt,
	})
	token.Header["kid"] = keys[0].id
	return token.SignedString(keys[0].secret)
}

// Verify returns the job that the token was signed for. It fails with
// [ErrUnknownKey] or [ErrBadToken]; neither quotes the token.
func (keys CallbackKeys) Verify(token string) (JobRef, error) {
	var claims callbackClaims
	_, err := tokenParser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		for _, key := range keys {
			if key.id == kid {
				return key.secret, nil
			}
		}
		return nil, ErrUnknownKey
	})
	switch {
	case errors.Is(err, ErrUnknownKey):
		return JobRef{}, ErrUnknownKey
	case err != nil:
		return JobRef{}, ErrBadToken
	}
	r := JobRef{
		Bucket:  claims.Bucket,
		Key:     string(claims.Key),
		Upload:  claims.Upload,
		Job:     claims.Job,
		Attempt: claims.Attempt,
	}
	if r.Bucket == "" || r.Key == "" || r.Upload == "" || r.Job == "" {
		return JobRef{}, ErrBadToken
	}
	return r, nil
}
