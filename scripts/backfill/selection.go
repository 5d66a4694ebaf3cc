package main

import (
	"slices"
	"strings"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
)

// selection says which objects are wanted, as it was typed: so the same command
// is about the same ones, whenever it is given. The zero value takes all that
// the routes take.
type selection struct {
	Prefixes     []string
	Suffixes     []string
	Since, Until string
	Versions     bool
}

// window is the time in which an object must have been made; a zero time is no
// bound.
type window struct {
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"` // not included
}

func (w window) holds(t time.Time) bool {
	return !t.Before(w.Since) && (w.Until.IsZero() || t.Before(w.Until))
}

// window is the selection's, if now is when it was first typed.
func (s selection) window(now time.Time) (w window, err error) {
	if w.Since, err = parseTime("since", s.Since, now); err != nil {
		return w, err
	}
	if w.Until, err = parseTime("until", s.Until, now); err != nil {
		return w, err
	}
	if !w.Until.IsZero() && !w.Since.Before(w.Until) {
		return w, cli.Usagef("nothing is made since %s and before %s", cli.Time(w.Since), cli.Time(w.Until))
	}
	return w, nil
}

func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, cli.Usagef("-%s %s is no time such as 2026-01-31T12:00:00Z, no date such as 2026-01-31 and no age such as 72h", flag, cli.Printable(text))
}

// scope is what the keys begin with that are wanted and that a route can take:
// in order, and none of them with another one.
func (s selection) scope(bucket string, routes media.Routes) ([]string, error) {
	wanted := []string{""}
	if len(s.Prefixes) > 0 {
		wanted = nil
	}
	for _, prefix := range s.Prefixes { // as errors and rows show uploads
		wanted = append(wanted, strings.TrimPrefix(prefix, "s3://"+bucket+"/"))
	}
	var both []string
	for _, prefix := range wanted {
		for _, r := range routes {
			switch {
			case strings.HasPrefix(prefix, r.Prefix):
				both = append(both, prefix)
			case strings.HasPrefix(r.Prefix, prefix):
				both = append(both, r.Prefix)
			}
		}
	}
	if len(both) == 0 {
		return nil, cli.Usagef("no route takes keys that begin with %s", cli.Printable(strings.Join(wanted, " or ")))
	}
	slices.Sort(both)
	scope := both[:1]
	for _, prefix := range both[1:] {
		if !strings.HasPrefix(prefix, scope[len(scope)-1]) {
			scope = append(scope, prefix)
		}
	}
	return scope, nil
}

// ends reports whether the key has one of the suffixes that are wanted, by the
// rule of the routes.
func (s selection) ends(key string) bool {
	if len(s.Suffixes) == 0 {
		return true
	}
	_, ok := media.Routes{{Suffixes: s.Suffixes}}.Match(key)
	return ok
}
