package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
)

const twoRoutes = `[
	{"prefix":"films/","suffixes":[".mov"],"jobs":[{"name":"video","kind":"video"}]},
	{"prefix":"songs/","suffixes":[".wav",".mp3"],"jobs":[{"name":"audio","kind":"audio"},{"name":"short","kind":"audio"}]}]`

func TestSelection(t *testing.T) {
	t.Parallel()
	w := start(t, configured(t, map[string]any{"routes": routes(t, twoRoutes)}))
	w.before("films/1 old.mov", "films/2024/2 old.MOV", "songs/3 old.wav")
	w.Clock.Advance(48 * time.Hour)
	middle := w.Clock.Now()
	w.before("films/4 middle.mov", "songs/5 middle.mp3", "other/6 middle.mov", "films/7 middle.txt")
	w.Clock.Advance(48 * time.Hour)
	w.before("films/8 new.mov", "songs/9 new.WAV")

	at := func(d time.Duration) string { return middle.Add(d).Format(time.RFC3339) }
	for name, tt := range map[string]struct {
		args []string
		want string // the numbers in the keys, in the order of the keys
	}{
		"all":                   {nil, "1 2 4 8 3 5 9"},
		"a prefix":              {[]string{"-prefix", "songs/"}, "3 5 9"},
		"a part of a prefix":    {[]string{"-prefix", "s"}, "3 5 9"},
		"more than a prefix":    {[]string{"-prefix", "films/2024/"}, "2"},
		"two prefixes":          {[]string{"-prefix", "songs/5", "-prefix", "films/4"}, "4 5"},
		"one in the other":      {[]string{"-prefix", "films/", "-prefix", "films/2024/"}, "1 2 4 8"},
		"as an address":         {[]string{"-prefix", "s3://my-media-bucket/films/8"}, "8"},
		"a suffix":              {[]string{"-suffix", ".wav"}, "3 9"},
		"suffixes":              {[]string{"-suffix", ".mp3,.MOV"}, "1 2 4 8 5"},
		"suffixes apart":        {[]string{"-suffix", ".mp3", "-suffix", "old.mov"}, "1 2 5"},
		"since":                 {[]string{"-since", at(-time.Hour)}, "4 8 5 9"},
		"until":                 {[]string{"-until", at(time.Hour)}, "1 2 4 3 5"},
		"between":               {[]string{"-since", at(-time.Hour), "-until", at(time.Hour)}, "4 5"},
		"an age":                {[]string{"-since", "72h", "-until", "24h"}, "4 5"},
		"a date":                {[]string{"-since", w.Clock.Now().UTC().Add(time.Hour * 24).Format(time.DateOnly)}, ""},
		"and a limit":           {[]string{"-prefix", "films/", "-limit", "2"}, "1 2"},
		"everything at once":    {[]string{"-prefix", "songs/", "-suffix", ".wav", "-since", at(0), "-limit", "9"}, "9"},
		"prefixes with a comma": {[]string{"-prefix", "films/a,b"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.do(t.Context(), append([]string{"-dry-run", "-json", "-restart"}, tt.args...)...)
			var numbers []string
			for _, key := range r.keys() {
				numbers = append(numbers, strings.Fields(key[strings.LastIndex(key, "/")+1:])[0])
			}
			if got := strings.Join(numbers, " "); r.Code != cli.ExitOK || got != tt.want {
				t.Errorf("%d: %q, want %q\n%s", r.Code, got, tt.want, r.Stderr)
			}
		})
	}
	// What the routes do not take is not even listed.
	r := w.well("-dry-run")
	if r.summary.Objects != 8 || r.summary.Jobs != 4*1+3*2 || r.summary.Skipped[media.SkipNoRoute] != 1 {
		t.Errorf("%+v", r.summary)
	}
	if r := w.well("-dry-run", "-suffix", ".mov", "-since", "24h"); r.summary.Skipped[skipSelection] != 7 {
		t.Errorf("%+v", r.summary)
	}
}

// An age is that of the first run: what was selected then stays so.
func TestAnAgeStaysWhenItGoesOn(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.before("a.mov", "b.mov")
	args := []string{"-since", "72h", "-limit", "1"}
	if r := w.well(args...); !slices.Equal(r.keys(), []string{"a.mov"}) {
		t.Errorf("%q", r.keys())
	}
	w.Clock.Advance(96 * time.Hour)
	if r := w.well(args...); !slices.Equal(r.keys(), []string{"b.mov"}) {
		t.Errorf("%q, %+v", r.keys(), r.summary)
	}
	if r := w.well(args...); r.summary.Skipped[skipSelection] != 2 {
		t.Errorf("anew, they are too old: %+v", r.summary)
	}
}

func TestWrongCommandLines(t *testing.T) {
	t.Parallel()
	w := start(t, configured(t, map[string]any{"routes": routes(t, twoRoutes)}))
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"an argument":            {[]string{"films/"}, "say -prefix films/"},
		"no such flag":           {[]string{"-sufix", ".mov"}, "-sufix"},
		"a limit under 0":        {[]string{"-limit", "-1"}, "-limit -1 is under 0"},
		"no rate":                {[]string{"-rate", "0"}, "-rate 0 is no rate above 0"},
		"not a rate":             {[]string{"-rate", "NaN"}, "-rate NaN is no rate above 0"},
		"too much of a rate":     {[]string{"-rate", "Inf"}, "-rate +Inf is no rate above 0"},
		"an empty suffix":        {[]string{"-suffix", ".mov,"}, "a suffix is empty"},
		"no time":                {[]string{"-since", "yesterday"}, "-since yesterday is no time such as 2026-01-31T12:00:00Z, no date such as 2026-01-31 and no age such as 72h"},
		"an age in the future":   {[]string{"-until", "-1h"}, "-until -1h is no time"},
		"nothing between":        {[]string{"-since", "1h", "-until", "2h"}, "nothing is made since"},
		"a prefix of no route":   {[]string{"-prefix", "films", "-prefix", "other/"}, ""},
		"prefixes of no route":   {[]string{"-prefix", "film/", "-prefix", "other/"}, "no route takes keys that begin with film/ or other/"},
		"a flag after arguments": {[]string{"films/", "-limit", "1"}, "-limit comes too late"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.do(t.Context(), append([]string{"-yes"}, tt.args...)...)
			if code := map[bool]int{true: cli.ExitOK, false: cli.ExitUsage}[tt.want == ""]; r.Code != code || !strings.Contains(r.Stderr, tt.want) {
				t.Errorf("%d, %s", r.Code, r.Stderr)
			}
		})
	}
	if w.invocations() > 0 {
		t.Error("something was sent")
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	routes := media.Routes{{Prefix: "b/"}, {Prefix: "a/x/"}, {Prefix: "a/"}, {Prefix: "a-"}}
	for _, tt := range []struct{ wanted, want []string }{
		{nil, []string{"a-", "a/", "b/"}},
		{[]string{""}, []string{"a-", "a/", "b/"}},
		{[]string{"a"}, []string{"a-", "a/"}},
		{[]string{"b/1", "a/x/1", "a/x/"}, []string{"a/x/", "b/1"}},
	} {
		if got, err := (selection{Prefixes: tt.wanted}).scope("bucket", routes); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, %v; want %q", tt.wanted, got, err, tt.want)
		}
	}
}
