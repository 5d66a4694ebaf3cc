package operator

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"

	"ittybit-media/handlers/media"
)

// hints say what to do about the refusals that AWS gives for the caller and not
// for the request, by error code.
var hints = map[string]string{
	"AccessDenied":                            denied,
	"AccessDeniedException":                   denied,
	"AuthorizationErrorException":             denied,
	"Forbidden":                               denied, // S3's, of a HEAD request: it has no body to say more
	"UnauthorizedOperation":                   denied,
	"ExpiredToken":                            expired,
	"ExpiredTokenException":                   expired,
	"InvalidClientTokenId":                    unknown,
	"UnrecognizedClientException":             unknown,
	"InvalidAccessKeyId":                      unknown,
	"SignatureDoesNotMatch":                   unknown,
	"InvalidSignatureException":               unknown,
	"RequestTimeTooSkewed":                    "this machine's clock is wrong: set it",
	"OptInRequired":                           "the account may not use this service or region: enable it in the AWS console",
	"SubscriptionRequiredException":           "the account may not use this service or region: enable it in the AWS console",
	"ResourceNotFoundException":               gone,
	"NoSuchBucket":                            gone,
	"AWS.SimpleQueueService.NonExistentQueue": gone,
	"QueueDoesNotExist":                       gone,
}

const (
	denied  = "these credentials may not do it: use others (AWS_PROFILE), or have this action allowed for them"
	expired = "the credentials have expired: sign in again (aws sso login), or take new ones"
	unknown = "AWS does not know these credentials: check AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they are for this account"
	none    = "set AWS_PROFILE, sign in (aws sso login), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	gone    = "the stack's outputs name it, but it is not there: is this the right account and region (aws sts get-caller-identity)? If it was deleted, pulumi refresh and pulumi up make it again"
)

// Explain adds what to do to an error of AWS's that people can mend, and takes
// from every error what must not be shown.
func Explain(err error) error {
	text := redact(err)
	switch hint := Advice(err); hint {
	case "":
		return errors.New(text)
	case none:
		return fmt.Errorf("there are no AWS credentials: %s\n%s", hint, text)
	default:
		return fmt.Errorf("%s\n%s", text, hint)
	}
}

// Advice says what to do about an error of AWS's that people can mend; "" for
// any other.
func Advice(err error) string {
	if hint, ok := hints[Code(err)]; ok {
		return hint
	}
	if NoCredentials(err) {
		return none
	}
	return ""
}

// Code is the code of AWS's refusal; "" when the error is none.
func Code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// Denied tells that these credentials may not make the request.
func Denied(err error) bool { return hints[Code(err)] == denied }

// NoCredentials tells whether a request failed before it was sent, for want of
// credentials.
func NoCredentials(err error) bool {
	text := err.Error()
	return strings.Contains(text, "get credentials") || strings.Contains(text, "failed to retrieve credentials")
}

func redact(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = media.Redact(line)
	}
	return strings.Join(lines, "\n")
}
