package receiver

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

// rereadKeys is the least time between two reads of the keys for an unknown
// one. Forged tokens cannot cause more, and a rotation is seen that soon even
// while they come: an unknown key cannot be told from a new one without a read.
const rereadKeys = 5 * time.Second

// keyring is a secret's value, cached.
type keyring[T any] interface {
	// Get returns the value in use. It fails when there is none yet and it
	// cannot be read.
	Get(ctx context.Context) (T, error)
	// Refresh returns a value that was read less than minAge ago, and reads it
	// for that if it must. It fails when it cannot be read.
	Refresh(ctx context.Context, minAge time.Duration) (T, error)
}

func unauthorized(err error) error {
	return refusal{http.StatusUnauthorized, "unauthorized", err}
}

// tokenVerifier verifies the tokens in callback URLs.
type tokenVerifier struct{ keys keyring[media.CallbackKeys] }

// verify returns the job that the callback's token was made for.
func (v tokenVerifier) verify(ctx context.Context, query map[string]string) (media.JobRef, error) {
	token := query["token"]
	if token == "" {
		return media.JobRef{}, unauthorized(media.ErrBadToken)
	}
	keys, err := v.keys.Get(ctx)
	if err != nil {
		return media.JobRef{}, err
	}
	ref, err := keys.Verify(token)
	if errors.Is(err, media.ErrUnknownKey) { // rotated since they were read
		if keys, err = v.keys.Refresh(ctx, rereadKeys); err != nil {
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
// the log tells, to show whether signatures could be required.
func hasSignature(headers map[string]string) bool { return headers[signatureHeader] != "" }

// signatureVerifier verifies Ittybit's signatures. Several secrets may be valid
// while they are rotated.
type signatureVerifier struct{ secrets keyring[[]string] }

// verify checks the callback's signature.
func (v signatureVerifier) verify(ctx context.Context, headers map[string]string, body []byte) error {
	text := strings.TrimPrefix(strings.TrimSpace(headers[signatureHeader]), "sha256=")
	got, err := hex.DecodeString(text)
	if err != nil || len(got) != sha256.Size {
		return unauthorized(errors.New("the callback has no signature, or not one of Ittybit's form"))
	}
	secrets, err := v.secrets.Get(ctx)
	if err != nil {
		return err
	}
	if signedWith(secrets, got, body) {
		return nil
	}
	if secrets, err = v.secrets.Refresh(ctx, rereadKeys); err != nil {
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
