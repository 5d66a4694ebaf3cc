package secrets

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// advice says what one error code of an AWS service means for a secret.
type advice struct {
	Reason error  // ErrMissing or ErrDenied
	Do     string // what a person has to do
}

const (
	accessDenied = "AccessDeniedException"
	decrypt      = "kms:Decrypt"
)

// allowDecrypt is the advice for error codes that mean trouble with a secret's
// KMS key.
var allowDecrypt = advice{ErrDenied, allow(decrypt + " on the secret's KMS key")}

func allow(action string) string { return "allow the function's role " + action }

// explain turns an error of an AWS client, met while reading the secret that
// what names, into one that says what to do about it. action is the IAM action
// that reads the secret; known holds the service's error codes that need a
// person. The result wraps err and, where it is known, the reason: ErrMissing,
// ErrDenied or ErrThrottled.
func explain(what, action string, err error, known map[string]advice) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("%s: %w", what, err)
	}
	code := api.ErrorCode()
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
		return fmt.Errorf("%s: %w: %w", what, ErrThrottled, err)
	}
	a, ok := known[code]
	switch {
	case ok:
	case code != accessDenied:
		return fmt.Errorf("%s: %w", what, err)
	case aboutKey(api.ErrorMessage(), action):
		a = allowDecrypt
	default:
		a = advice{ErrDenied, allow(action + ", and " + decrypt + " if the secret has a KMS key of its own")}
	}
	return fmt.Errorf("%s: %w: %s: %w", what, a.Reason, a.Do, err)
}

// aboutKey tells a refusal by KMS, which both services pass on under their own
// code, from one of the reading action. The action goes first: the message
// holds the secret's name too, in which "kms" can stand.
func aboutKey(message, action string) bool {
	if strings.Contains(message, action) {
		return false
	}
	message = strings.ToLower(message)
	return strings.Contains(message, "kms") || strings.Contains(message, "ciphertext")
}
