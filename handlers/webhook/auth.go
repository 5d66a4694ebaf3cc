package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"ittybit-media/handlers/media"
)

// signatureHeader carries the HMAC-SHA256 of the body in hex
// (https://ittybit.com/guides/webhooks-with-laravel-queues-and-events). Header
// names arrive in lower case.
const signatureHeader = "ittybit-signature"

// rereadKeys bounds how often an unknown key makes the keys be read again, so
// that nobody can make us read them for every forged token.
const rereadKeys = time.Minute

// keyring is a secret's value, cached.
type keyring[T any] interface {
	Get(ctx context.Context) (T, error)
	Refresh(ctx context.Context, minAge time.Duration) (T, error)
}

// authenticator tells Ittybit's callbacks from everybody else's.
type authenticator struct {
	tokens     bool
	keys       keyring[media.CallbackKeys] // where tokens count
	signatures bool
	secrets    keyring[[]string] // where signatures count
}

func unauthorized(err error) error {
	return refusal{http.StatusUnauthorized, "unauthorized", err}
}

// token returns the job that the callback's token was made for; the zero JobRef
// where tokens do not count.
func (a authenticator) token(ctx context.Context, query map[string]string) (media.JobRef, error) {
	if !a.tokens {
		return media.JobRef{}, nil
	}
	token := query["token"]
	if token == "" {
		return media.JobRef{}, unauthorized(media.ErrBadToken)
	}
	keys, err := a.keys.Get(ctx)
	if err != nil {
		return media.JobRef{}, err
	}
	ref, err := keys.Verify(token)
	if errors.Is(err, media.ErrUnknownKey) { // rotated since they were read
		if keys, err = a.keys.Refresh(ctx, rereadKeys); err != nil {
			return media.JobRef{}, err
		}
		ref, err = keys.Verify(token)
	}
	if err != nil {
		return media.JobRef{}, unauthorized(err)
	}
	return ref, nil
}

// hasSignature reports whether the callback has a signature, right or wrong:
// the log tells, so that one finds out whether signatures could be asked for.
func hasSignature(headers map[string]string) bool { return headers[signatureHeader] != "" }

// signature checks the callback's signature, where signatures count. Several
// secrets may be valid while they are rotated.
func (a authenticator) signature(ctx context.Context, headers map[string]string, body []byte) error {
	if !a.signatures {
		return nil
	}
	text := strings.TrimPrefix(strings.TrimSpace(headers[signatureHeader]), "sha256=")
	got, err := hex.DecodeString(text)
	if err != nil || len(got) != sha256.Size {
		return unauthorized(errors.New("the callback has no signature, or not one of Ittybit's form"))
	}
	secrets, err := a.secrets.Get(ctx)
	if err != nil {
		return err
	}
	if signedWith(secrets, got, body) {
		return nil
	}
	if secrets, err = a.secrets.Refresh(ctx, rereadKeys); err != nil {
		return err
	}
	if signedWith(secrets, got, body) {
		return nil
	}
	return unauthorized(errors.New("the callback's signature is not Ittybit's"))
}

func signedWith(secrets []string, signature, body []byte) bool {
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), signature) {
			return true
		}
	}
	return false
}
