package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
)

// routes are checked as dispatch checks them.
type routes struct{}

func (routes) values() string {
	return fmt.Sprintf("a list of 1 to %d routes of 1 to %d jobs each", media.MaxRoutes, media.MaxJobs)
}

func (routes) read(r *reader, c *Config, data []byte) {
	outputs := media.Folder{Bucket: c.BucketName, Prefix: c.OutputPrefix}
	if r.wrong["outputPrefix"] {
		outputs.Prefix = "" // the routes are not to be blamed for it
	}
	c.Routes = media.DefaultRoutes()
	if data != nil {
		parsed, warnings, err := media.CheckRoutes(data, outputs)
		r.warnings = append(r.warnings, warnings...)
		r.limit(c, parsed)
		if problems, ok := errors.AsType[media.Problems](err); ok {
			r.mistakes = append(r.mistakes, problems...)
			c.Routes = nil
			return
		}
		c.Routes = parsed
	}
	if _, err := event.Pattern(c.BucketName, c.Routes); err != nil {
		r.fail("routes", "%v", err)
	}
}

// limit checks that the day's jobs are enough for one upload of every route: all
// jobs of an upload are counted at once, and one that never fits never runs.
func (r *reader) limit(c *Config, routes media.Routes) {
	if c.DailyJobLimit == 0 || r.wrong["dailyJobLimit"] {
		return
	}
	for i, route := range routes {
		if n := len(route.Jobs); int64(n) > c.DailyJobLimit {
			r.fail("dailyJobLimit", "%d is less than the %d jobs of routes[%d], so that none of its uploads could ever run; raise it to %d or more, set it to 0 for no limit, or give the route fewer jobs", c.DailyJobLimit, n, i, n)
			return
		}
	}
}

// The tags that every resource has from its stack.
const (
	TagProject = "project"
	TagStack   = "stack"
)

// Bounds of tags ("Tag naming limits and requirements", Tagging AWS Resources
// User Guide).
const (
	maxTags     = 50 - 2 // two are ours
	maxTagKey   = 128
	maxTagValue = 256
)

// tagText are the characters that every service takes in tags.
var tagText = regexp.MustCompile(`^[\p{L}\p{N} _.:/=+@-]*$`)

// tags are checked for what AWS would refuse in the middle of an update.
type tags struct{}

func (tags) values() string {
	return fmt.Sprintf("a map of at most %d names to texts", maxTags)
}

func (t tags) read(r *reader, c *Config, data []byte) {
	c.Tags = map[string]string{}
	if data == nil {
		return
	}
	var fields map[string]json.RawMessage // raw: a number stays as it was written
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		r.fail("tags", "must be %s", t.values())
		return
	}
	if len(fields) > maxTags {
		r.fail("tags", "has %d tags; AWS takes 50, of which %s and %s are the stack's own", len(fields), TagProject, TagStack)
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		path, folded := "tags."+name, strings.ToLower(name)
		if err := checkTagName(name); err != nil {
			r.fail(path, "%v", err)
		} else if other, ok := seen[folded]; ok {
			r.fail(path, "differs from %s in nothing but case, which IAM ignores; remove one of them", other)
		}
		seen[folded] = name
		value, err := tagValue(fields[name])
		if err != nil {
			r.fail(path, "%v", err)
		}
		c.Tags[name] = value
	}
}

func checkTagName(name string) error {
	folded := strings.ToLower(name)
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxTagKey:
		return fmt.Errorf("a tag's name must have 1 to %d characters", maxTagKey)
	case !tagText.MatchString(name):
		return errTagText
	case strings.HasPrefix(folded, "aws:"):
		return errors.New("names that begin with aws: are reserved for AWS; choose another")
	case folded == TagProject || folded == TagStack: // whatever the case: IAM ignores it
		return errors.New("is set by the stack itself; choose another name")
	}
	return nil
}

var errTagText = errors.New("has a character that tags cannot have; they take letters, digits, spaces and _ . : / = + - @")

// tagValue takes numbers and booleans by their text.
func tagValue(data json.RawMessage) (string, error) {
	text := string(data)
	switch text[0] {
	case '{', '[', 'n':
		return "", errors.New(`must be a text; "" for an empty one`)
	case '"':
		if err := json.Unmarshal(data, &text); err != nil {
			return "", err
		}
	}
	switch {
	case utf8.RuneCountInString(text) > maxTagValue:
		return "", fmt.Errorf("has %d characters; a tag's value has at most %d", utf8.RuneCountInString(text), maxTagValue)
	case !tagText.MatchString(text):
		return "", errTagText
	}
	return text, nil
}
