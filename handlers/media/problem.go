package media

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
)

// Problem is one mistake in a configuration.
type Problem struct {
	Path string // where: routes[1].jobs[0].options.quality
	Text string // what is wrong and what would be right
}

func (p Problem) String() string { return p.Path + ": " + p.Text }

// Problems are all mistakes of a configuration, in the order of its text.
type Problems []Problem

// Addf adds a problem.
func (ps *Problems) Addf(path, format string, args ...any) {
	*ps = append(*ps, Problem{path, fmt.Sprintf(format, args...)})
}

// Err is nil when there is no problem.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Error has one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// didYouMean is `, did you mean "…"?` with the candidate that a typing mistake
// may have turned into word, or "" when none is near.
func didYouMean(word string, candidates []string) string {
	if near := Nearest(word, candidates); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// Nearest is the candidate that word was probably meant to be, "" when none is
// near.
func Nearest(word string, candidates []string) string {
	best, least := "", max(2, len(word)/3)+1
	for _, c := range candidates {
		if d := levenshtein.Distance(strings.ToLower(word), strings.ToLower(c), nil); d < least {
			best, least = c, d
		}
	}
	return best
}
