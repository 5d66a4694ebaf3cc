package event

import (
	"fmt"
	"ittybit-media/handlers/media"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// MaxPattern is the longest event pattern, in characters, that a rule may
	// have ("Amazon EventBridge quotas", EventBridge User Guide).
	MaxPattern = 2048

	// maxBucketName is the longest name of a bucket, for when the name is not
	// known yet ("General purpose bucket naming rules", S3 User Guide).
	maxBucketName = 63
)

// Pattern returns the pattern of the rule that feeds dispatch: the guide's,
// with every suffix of every route whatever its case. The routes' prefixes
// cannot be in it: EventBridge takes an event when any one entry of a field
// fits, so prefix and suffix would be alternatives. Dispatch matches them.
//
// It fails when the pattern is longer than EventBridge takes. An empty bucket
// name stands for one that is yet to be made.
func Pattern(bucket string, routes media.Routes) (string, error) {
	type suffix struct {
		Fold string `json:"equals-ignore-case"`
	}
	type key struct {
		Suffix suffix `json:"suffix"`
	}
	var keys []key
	var seen []string
	for _, r := range routes {
		for _, s := range r.Suffixes {
			if s = strings.ToLower(s); !slices.Contains(seen, s) {
				seen = append(seen, s)
				keys = append(keys, key{suffix{s}})
			}
		}
	}
	type names struct {
		Name []string `json:"name"`
	}
	type object struct {
		Key []key `json:"key"`
	}
	type detail struct {
		Bucket names  `json:"bucket"`
		Object object `json:"object"`
	}
	pattern, err := media.MarshalJSON(struct {
		Source     []string `json:"source"`
		DetailType []string `json:"detail-type"`
		Detail     detail   `json:"detail"`
	}{
		Source:     []string{s3Source},
		DetailType: []string{s3DetailType},
		Detail:     detail{Bucket: names{[]string{bucket}}, Object: object{keys}},
	})
	if err != nil {
		return "", err
	}
	length := utf8.RuneCount(pattern)
	if bucket == "" {
		length += maxBucketName
	}
	if length > MaxPattern {
		return "", fmt.Errorf("the %d different suffixes make an event pattern of %d characters; EventBridge takes %d: use fewer suffixes or two stacks", len(keys), length, MaxPattern)
	}
	return string(pattern), nil
}
