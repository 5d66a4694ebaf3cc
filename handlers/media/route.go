package media

import (
	"encoding/json"
	"strings"
)

// Route says which jobs the uploads of a kind get.
type Route struct {
	Prefix   string   `json:"prefix"`             // of the key; "" takes every key
	Suffixes []string `json:"suffixes"`           // of the key, whatever the case
	MaxBytes int64    `json:"maxBytes,omitempty"` // larger uploads are rejected; 0: no limit
	Jobs     []Job    `json:"jobs"`
}

// Job is one thing to do with an upload.
type Job struct {
	Name    string         `json:"name"`
	Kind    string         `json:"kind"`
	Options map[string]any `json:"options,omitempty"`
	Output  Template       `json:"output,omitempty"` // "": Ittybit keeps the output
	// OutputCollisions is "allow" where the job's outputs may overwrite each other
	// or another job's, else "".
	OutputCollisions string `json:"outputCollisions,omitempty"`
}

// Routes are tried in order: the first one that fits an upload has it.
type Routes []Route

// RoutesFile is the name under which dispatch finds its routes in its zip: the
// 4 KB of a function's environment would not hold them.
const RoutesFile = "routes.json"

// Match returns the route of the key.
func (rs Routes) Match(key string) (Route, bool) {
	for _, r := range rs {
		if r.fits(key) {
			return r, true
		}
	}
	return Route{}, false
}

// Why an upload gets no job, as dispatch logs and counts it.
const (
	SkipFolder  = "folder marker"
	SkipEmpty   = "0 bytes"
	SkipOutput  = "output folder"
	SkipNoRoute = "no route"
	// SkipHaveJobs is the one reason that the table knows, and not the route.
	SkipHaveJobs = "already there"
)

// For is the route by which dispatch makes the jobs of an upload, or why it
// makes none.
func (rs Routes) For(u Upload, outputs Folder) (route Route, skip string) {
	switch {
	case outputs.Holds(u.Key):
		return Route{}, SkipOutput
	case strings.HasSuffix(u.Key, "/"):
		return Route{}, SkipFolder
	case u.Size == 0:
		return Route{}, SkipEmpty
	}
	route, ok := rs.Match(u.Key)
	if !ok {
		return Route{}, SkipNoRoute
	}
	return route, ""
}

// TooLarge reports whether the route rejects uploads of that many bytes.
func (r Route) TooLarge(size int64) bool { return r.MaxBytes > 0 && size > r.MaxBytes }

func (r Route) fits(key string) bool {
	if !strings.HasPrefix(key, r.Prefix) {
		return false
	}
	for _, suffix := range r.Suffixes {
		if hasSuffixFold(key, suffix) {
			return true
		}
	}
	return false
}

// hasSuffixFold ignores the case of ASCII letters, of which alone suffixes are
// made.
func hasSuffixFold(key, suffix string) bool {
	return len(key) >= len(suffix) && strings.EqualFold(asciiOnly(key[len(key)-len(suffix):]), suffix)
}

// asciiOnly keeps EqualFold from folding letters outside ASCII onto letters
// inside it (the Kelvin sign onto k).
func asciiOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 127 {
			return 0
		}
		return r
	}, s)
}

// JSON is the text of [RoutesFile].
func (rs Routes) JSON() ([]byte, error) {
	return json.Marshal(struct {
		Routes Routes `json:"routes"`
	}{rs})
}
