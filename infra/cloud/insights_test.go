package cloud_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// systemFields are those that CloudWatch Logs adds ("Supported logs and
// discovered fields", Amazon CloudWatch Logs User Guide).
var systemFields = []string{"@timestamp", "@message", "@log", "@logStream", "@ingestionTime"}

// insights is what a query in the words of Logs Insights asks for.
type insights struct {
	fields []string
	values map[string][]string // field → what it is compared with
}

var (
	comment = regexp.MustCompile(`(?m)^#.*$`)
	token   = regexp.MustCompile(`"[^"]*"|[@\w][\w.]*|[^\s\w"@]+`)

	insightsCommands  = []string{"fields", "display", "filter", "stats", "sort", "limit"}
	insightsKeywords  = []string{"and", "or", "in", "by", "asc", "desc"}
	insightsFunctions = []string{"count", "latest"}
)

// parseInsights understands as much of the language as this project uses; what
// it does not know fails the test ("CloudWatch Logs Insights language query
// syntax", Amazon CloudWatch Logs User Guide).
func parseInsights(t *testing.T, where, text string) insights {
	t.Helper()
	q := insights{values: map[string][]string{}}
	aliases := map[string]bool{}
	for part := range strings.SplitSeq(comment.ReplaceAllString(text, ""), "|") {
		words := token.FindAllString(part, -1)
		if len(words) < 2 || !slices.Contains(insightsCommands, words[0]) {
			t.Fatalf("%s: %q is no command", where, part)
		}
		field := ""
		for i := 1; i < len(words); i++ {
			word := words[i]
			switch {
			case word[0] == '"':
				q.values[field] = append(q.values[field], strings.Trim(word, `"`))
			case word == "as":
				i++
				aliases[words[i]] = true
			case !regexp.MustCompile(`^[@a-zA-Z]`).MatchString(word), slices.Contains(insightsKeywords, word), aliases[word]:
			case i+1 < len(words) && strings.HasPrefix(words[i+1], "("):
				if !slices.Contains(insightsFunctions, word) {
					t.Fatalf("%s: there is no function %s", where, word)
				}
			default:
				field = word
				q.fields = append(q.fields, word)
			}
		}
	}
	return q
}
