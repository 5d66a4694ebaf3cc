// Package secrets reads secrets from AWS Secrets Manager and from AWS Systems
// Manager Parameter Store, and keeps them for a while.
//
// A secret's text never gets into an error or a log line of this package.
package secrets

import (
	"context"
	"errors"
)

// Fetcher reads the present text of one secret. It must return when ctx ends.
// Its errors name the secret, never its text.
type Fetcher func(ctx context.Context) (string, error)

// The reasons for which a secret cannot be read, for errors.Is.
var (
	// ErrMissing means that the secret does not exist, or has no value yet.
	ErrMissing = errors.New("not found")
	// ErrDenied means that the function's role may not read or decrypt the
	// secret.
	ErrDenied = errors.New("access denied")
	// ErrThrottled means that AWS refused because of too many requests, the
	// SDK's retries included.
	ErrThrottled = errors.New("throttled")
)
