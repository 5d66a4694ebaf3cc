package media

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled when it is first used: few
// invocations use any, and every start would pay for all of them (0.4 of some
// 6 ms).
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
