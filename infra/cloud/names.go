package cloud

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// Pulumi makes a physical name of the logical one, "-" and seven hex digits.
// The shortest limit is that of a bucket's name, 63 characters ("General
// purpose bucket naming rules", Amazon S3 User Guide); IAM roles, functions and
// rules have 64. All names stay within 63, those of log groups too, which could
// be longer: the longest is "/aws/lambda/", the prefix and "-dispatch".
const maxPrefix = 34

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// Prefix is what the names of a stack's resources begin with: lower-case
// letters, digits and hyphens, as every service takes them, 34 at most. A stack
// name that is too long keeps its beginning and ends in a digest, so that two
// with the same beginning can be told apart.
func Prefix(stack string) string {
	prefix := "ittybit-" + strings.Trim(notInNames.ReplaceAllString(strings.ToLower(stack), "-"), "-")
	if len(prefix) > maxPrefix {
		sum := sha256.Sum256([]byte(stack))
		digest := "-" + hex.EncodeToString(sum[:3])
		prefix = strings.TrimRight(prefix[:maxPrefix-len(digest)], "-") + digest
	}
	return strings.TrimRight(prefix, "-")
}
