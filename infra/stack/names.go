package stack

import (
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
)

// What a bucket's name may be ("General purpose bucket naming rules", S3 User
// Guide).
var (
	bucketName     = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	ipAddress      = regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`)
	bucketReserved = regexp.MustCompile(`^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$`)
)

func checkBucketName(s string) error {
	switch {
	case !bucketName.MatchString(s):
		return fmt.Errorf("%q is no bucket's name: 3 to 63 lowercase letters, digits, dots and hyphens, a letter or digit first and last", s)
	case strings.Contains(s, ".."):
		return fmt.Errorf("%q is no bucket's name: it has two dots in a row", s)
	case ipAddress.MatchString(s):
		return fmt.Errorf("%q is no bucket's name: it looks like an IP address", s)
	}
	if reserved := bucketReserved.FindString(s); reserved != "" {
		return fmt.Errorf("%q is not the name of a general purpose bucket: S3 reserves %s; give the bucket's own name, not an alias", s, reserved)
	}
	return nil
}

// IsARN tells an ARN from a name, in a key that takes both.
func IsARN(s string) bool { return strings.HasPrefix(s, "arn:") }

// What references to secrets may be: names as the services take them
// (CreateSecret, Secrets Manager API Reference; "Requirements and constraints
// for parameter names", Systems Manager User Guide), and their ARNs.
var (
	secretName        = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)
	secretARN         = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$`)
	secretSuffix      = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)
	parameterName     = regexp.MustCompile(`^([A-Za-z0-9_.-]+|(/[A-Za-z0-9_.-]+)+)$`)
	parameterARN      = regexp.MustCompile(`^arn:aws[a-z-]*:ssm:[a-z0-9-]+:\d{12}:parameter((/[A-Za-z0-9_.-]+)+)$`)
	parameterReserved = regexp.MustCompile(`^/?(?i:aws|ssm)`)
	kmsKeyARN         = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+$`)
)

const maxParameterName = 1011

// The errors of references do not quote them: somebody may have written the
// secret itself there.

func checkSecret(s string) error {
	switch {
	case IsARN(s) && !secretARN.MatchString(s):
		return errors.New("is not the complete ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX with the six characters that Secrets Manager adds: no policy can name it otherwise; aws secretsmanager describe-secret shows it")
	case !IsARN(s) && !secretName.MatchString(s):
		return errors.New("is neither the ARN nor the name of a secret: 1 to 512 letters, digits and / _ + = . @ -; name the secret here, do not give it")
	}
	return nil
}

func checkParameter(s string) error {
	name := s
	if IsARN(s) {
		parts := parameterARN.FindStringSubmatch(s)
		if parts == nil {
			return errors.New("is not the ARN of a parameter, arn:aws:ssm:REGION:ACCOUNT:parameter/NAME")
		}
		name = parts[1]
	}
	switch {
	case !parameterName.MatchString(name) || len(s) > maxParameterName:
		return fmt.Errorf("is neither the ARN nor the name of a parameter: at most %d letters, digits and . _ -, or a path of such names, each after a slash; name the parameter here, do not give the key", maxParameterName)
	case parameterReserved.MatchString(name):
		return errors.New("begins with aws or ssm, which Parameter Store keeps for itself; for a secret of Secrets Manager use ittybitApiKeySecret")
	}
	return nil
}

// What an event bus may be called; a partner's, with slashes, takes no events
// of ours (CreateEventBus and PutEvents, Amazon EventBridge API Reference).
var (
	eventBusName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,256}$`)
	eventBusARN  = regexp.MustCompile(`^arn:aws[a-z-]*:events:[a-z0-9-]+:\d{12}:event-bus/[A-Za-z0-9._-]{1,256}$`)
)

func checkEventBus(s string) error {
	switch {
	case IsARN(s) && !eventBusARN.MatchString(s):
		return fmt.Errorf("%q is not the ARN of an event bus, arn:aws:events:REGION:ACCOUNT:event-bus/NAME", s)
	case !IsARN(s) && !eventBusName.MatchString(s):
		return fmt.Errorf("%q is neither the ARN nor the name of an event bus: 1 to 256 letters, digits and . _ -", s)
	}
	return nil
}

func checkKMSKey(s string) error {
	if !kmsKeyARN.MatchString(s) {
		return errors.New("is not the ARN of a KMS key, arn:aws:kms:REGION:ACCOUNT:key/ID; a policy cannot name an alias: aws kms describe-key --key-id ALIAS shows the key's ARN")
	}
	return nil
}

func checkEmail(s string) error {
	address, err := mail.ParseAddress(s)
	if err != nil || address.Address != s {
		return fmt.Errorf("%q is not a plain e-mail address such as media@example.com", s)
	}
	return nil
}
