package media_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"ittybit-media/handlers/media"
)

var outputs = media.Folder{Bucket: "my-media-bucket", Prefix: "ittybit-output/"}

func parse(t testing.TB, routes string) media.Routes {
	t.Helper()
	r, warnings, err := media.ParseRoutes([]byte(routes), outputs)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	return r
}

func TestRoutesFileRoundTrip(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/routes.json")
	if err != nil {
		t.Fatal(err)
	}
	routes, err := media.ParseRoutesFile(file, outputs)
	if err != nil {
		t.Fatal(err)
	}
	if len(routes) != 2 || routes[0].MaxBytes != 1<<30 || routes[0].Jobs[1].Options["width"] != json.Number("640") || routes[1].Suffixes[0] != ".wav" {
		t.Errorf("got %+v", routes)
	}
	text, err := routes.JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := media.ParseRoutesFile(text, outputs)
	if err != nil {
		t.Fatal(err)
	}
	if twice, _ := again.JSON(); string(twice) != string(text) {
		t.Errorf("%s\nbecomes\n%s", text, twice)
	}
	for _, broken := range []string{``, `{`, `[]`, `{}`, `{"routes":null}`, `{"routes":[]}`, `{"routes":[{}]} x`} {
		if _, err := media.ParseRoutesFile([]byte(broken), outputs); err == nil {
			t.Errorf("%q is accepted", broken)
		}
	}
}

func TestDefaultRoutesAreRight(t *testing.T) {
	t.Parallel()
	text, err := media.DefaultRoutes().JSON()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := media.ParseRoutesFile(text, outputs); err != nil {
		t.Error(err)
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	routes := parse(t, `[
		{"prefix": "a/b/", "suffixes": [".mov"], "jobs": [{"name": "deep", "kind": "video"}]},
		{"prefix": "a/", "jobs": [{"name": "default", "kind": "video"}]},
		{"prefix": "", "suffixes": [".tar.gz", ".k"], "jobs": [{"name": "any", "kind": "audio"}]}]`)
	for key, want := range map[string]string{
		"a/b/x.mov":      "deep",
		"a/b/x.MOV":      "deep",
		"a/b/x.mp4":      "default",
		"a/x.Mp4":        "default",
		"a/x.webm":       "default",
		"a/x.mp4.part":   "",
		"a/xmp4":         "",
		"A/x.mp4":        "",
		"x.mp4":          "",
		"x.TAR.gz":       "any",
		"x.k":            "any",
		"x.\u212a":       "", // the Kelvin sign folds to k, but EventBridge's rule is for ASCII
		"a/b/😀 +%41.mov": "deep",
		".mov":           "",
		"":               "",
	} {
		got := ""
		if r, ok := routes.Match(key); ok {
			got = r.Jobs[0].Name
		}
		if got != want {
			t.Errorf("%q goes to %q, want %q", key, got, want)
		}
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	_, _, err := media.ParseRoutes([]byte(`[
		{"prefx": "a/", "suffixes": ["mov", ".mp4", ".MP4", 7, ".ü", "."], "maxBytes": -1, "jobs": []},
		{"prefix": "ittybit-output/x", "suffixes": [], "jobs": [
			{"name": "a b", "kind": "vidio"},
			{"name": "v", "kind": "video", "options": {"quality": "80", "fps": 61, "width": 0, "height": "0%", "codec": "h266", "bitrate": 1}},
			{"name": "v", "kind": "audio", "options": {"format": "mp4", "start": -1}, "output": "s3://${bucket}/elsewhere/${key}"},
			{"name": "i", "kind": "image", "options": {"background": "#000000"}, "output": "https://x/y"},
			{"name": "c", "kind": "video", "options": {"start": 5, "end": 5}, "output": "s3://${buckett}/${kee}"},
			{"name": 3, "kind": ["video"], "options": [], "output": 1, "otput": "", "outputCollisions": "yes"}
		]},
		"route",
		{"jobs": {}},
		{"prefix": 1, "suffixes": ".mov", "maxBytes": "1MB"}]`), outputs)
	var problems media.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	want := map[string]string{
		"routes[0].prefx":                      `did you mean "prefix"?`,
		"routes[0].suffixes[0]":                `write ".mov"`,
		"routes[0].suffixes[2]":                `twice`,
		"routes[0].suffixes[3]":                `7 is not a suffix`,
		"routes[0].suffixes[4]":                `ASCII`,
		"routes[0].maxBytes":                   `0 (no limit) or more`,
		"routes[0].jobs":                       `has 0 jobs`,
		"routes[1].prefix":                     `lies inside outputPrefix`,
		"routes[1].suffixes":                   `at least one`,
		"routes[1].jobs[0].name":               `"a b" must be`,
		"routes[1].jobs[0].kind":               `did you mean "video"?`,
		"routes[1].jobs[1].options.quality":    `"80" is not one of very_low, low, medium, high, very_high`,
		"routes[1].jobs[1].options.fps":        `from 1 to 60`,
		"routes[1].jobs[1].options.width":      `pixels above 0`,
		"routes[1].jobs[1].options.height":     `"50%"`,
		"routes[1].jobs[1].options.codec":      `vp9`,
		"routes[1].jobs[1].options.bitrate":    `300000 to 60000000`,
		"routes[1].jobs[2].name":               `unique`,
		"routes[1].jobs[2].options.format":     `mp3`,
		"routes[1].jobs[2].options.start":      `0 or more`,
		"routes[1].jobs[2].output":             `under outputPrefix: s3://${bucket}/ittybit-output/`,
		"routes[1].jobs[3].options.background": `fit: contain`,
		"routes[1].jobs[3].output":             `no s3:// URL`,
		"routes[1].jobs[4].options.end":        `not after the start`,
		"routes[1].jobs[4].output":             `did you mean "bucket"?`,
		"routes[1].jobs[5].name":               `3 is not a text`,
		"routes[1].jobs[5].kind":               `["video"] is not a text`,
		"routes[1].jobs[5].options":            `not an object`,
		"routes[1].jobs[5].output":             `1 is not a text`,
		"routes[1].jobs[5].otput":              `did you mean "output"?`,
		"routes[1].jobs[5].outputCollisions":   `"yes" must be allow`,
		"routes[2]":                            `"route" is not an object`,
		"routes[3].jobs":                       `{} is not a list`,
		"routes[4].prefix":                     `1 is not a text`,
		"routes[4].suffixes":                   `must be a list`,
		"routes[4].maxBytes":                   `"1MB" is not a whole number of bytes`,
		"routes[4].jobs":                       `is missing`,
	}
	for _, p := range problems {
		says, ok := want[p.Path]
		if !ok || !strings.Contains(p.Text, says) {
			t.Errorf("%v; want %q", p, says)
		}
		if !strings.Contains(err.Error(), p.String()) {
			t.Errorf("%v is not in the error's text", p)
		}
		delete(want, p.Path)
	}
	for path, says := range want {
		t.Errorf("%s: not reported (%s)", path, says)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	_, warnings, err := media.ParseRoutes([]byte(`[
		{"prefix": "a/", "suffixes": [".mov", ".gz"], "jobs": [{"name": "v", "kind": "video", "options": {"widht": 3, "watermark": "x"}}]},
		{"prefix": "a/b/", "suffixes": [".MOV", ".tar.gz"], "jobs": [{"name": "v", "kind": "video"}]}]`), outputs)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	want := []string{
		`routes[0].jobs[0].options.watermark: is not an option that is known here; it is sent as it is`,
		`routes[0].jobs[0].options.widht: is not an option that is known here; it is sent as it is; did you mean "width"?`,
		`routes[1]: never gets an upload: routes[0] comes first and takes all of them`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestEveryOptionOfEveryKindInBounds(t *testing.T) {
	t.Parallel()
	right := map[string][]string{
		"format":               nil, // differs by kind
		"codec":                {`"av1"`},
		"quality":              {`"very_low"`, `"very_high"`},
		"width":                {`1`, `"50%"`, `4096`},
		"height":               {`1`, `"100%"`},
		"fit":                  {`"cover"`, `"fill"`, `"contain"`},
		"position":             {`"top"`, `"bottom left"`},
		"background":           nil, // needs fit
		"fps":                  {`1`, `23.976`, `60`},
		"bitrate":              {`300000`, `320000`},
		"start":                {`0`, `1.5`},
		"end":                  {`0.1`, `7200`},
		media.ConnectionOption: {`"conn_1"`},
	}
	formats := map[string][]string{
		"video":          {"mp4", "webm", "mov"},
		"audio":          {"mp3", "aac", "ogg", "opus", "wav", "flac"},
		"image":          {"jpeg", "png", "webp", "avif"},
		"animation":      {"gif", "webp"},
		"adaptive_video": {"hls"},
	}
	if len(media.Kinds) != len(formats) {
		t.Errorf("%d kinds", len(media.Kinds))
	}
	accept := func(kind, options string) error {
		_, _, err := media.ParseRoutes(fmt.Appendf(nil, `[{"jobs":[{"name":"j","kind":%q,"options":%s}]}]`, kind, options), outputs)
		return err
	}
	for kind, table := range media.Kinds {
		for option := range table {
			values, known := right[option]
			if !known {
				t.Errorf("%s.%s is not tested", kind, option)
			}
			for _, value := range values {
				if err := accept(kind, fmt.Sprintf(`{%q: %s}`, option, value)); err != nil && !(option == "bitrate") {
					t.Errorf("%s: %v", kind, err)
				}
			}
			if err := accept(kind, fmt.Sprintf(`{%q: {}}`, option)); err == nil {
				t.Errorf("%s.%s takes an object", kind, option)
			}
		}
		for _, format := range formats[kind] {
			if err := accept(kind, fmt.Sprintf(`{"format": %q}`, format)); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if err := accept(kind, `{"format": "bmp"}`); err == nil {
			t.Errorf("%s takes format bmp", kind)
		}
	}
	for kind, bounds := range map[string][2]int{"video": {300_000, 60_000_000}, "audio": {32_000, 320_000}} {
		for value, ok := range map[int]bool{bounds[0] - 1: false, bounds[0]: true, bounds[1]: true, bounds[1] + 1: false} {
			if err := accept(kind, fmt.Sprintf(`{"bitrate": %d}`, value)); (err == nil) != ok {
				t.Errorf("%s bitrate %d: %v", kind, value, err)
			}
		}
	}
	if err := accept("video", `{"fit": "contain", "background": "#00fF00"}`); err != nil {
		t.Error(err)
	}
	if err := accept("video", `{"fit": "contain", "background": "green"}`); err == nil {
		t.Error("a background of green is taken")
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	job := func(i int) string { return fmt.Sprintf(`{"name":"j%d","kind":"video"}`, i) }
	many := func(n int, item func(int) string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = item(i)
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	route := func(i int) string { return fmt.Sprintf(`{"prefix":"p%d/","jobs":[%s]}`, i, job(0)) }
	for name, tt := range map[string]struct {
		routes string
		ok     bool
	}{
		"50 routes":           {routes: many(50, route), ok: true},
		"51 routes":           {routes: many(51, route)},
		"20 jobs":             {routes: `[{"jobs":` + many(20, job) + `}]`, ok: true},
		"21 jobs":             {routes: `[{"jobs":` + many(21, job) + `}]`},
		"a long prefix":       {routes: `[{"prefix":"` + strings.Repeat("p", 1025) + `","jobs":[` + job(0) + `]}]`},
		"a name of 64":        {routes: `[{"jobs":[{"name":"` + strings.Repeat("n", 64) + `","kind":"video"}]}]`, ok: true},
		"a name of all kinds": {routes: `[{"jobs":[{"name":"9a-B_","kind":"video"}]}]`, ok: true},
		"a name from a mark":  {routes: `[{"jobs":[{"name":"_a","kind":"video"}]}]`},
		"another mark inside": {routes: `[{"jobs":[{"name":"a.b","kind":"video"}]}]`},
		"no ASCII inside":     {routes: `[{"jobs":[{"name":"aéb","kind":"video"}]}]`},
		"a name of 65":        {routes: `[{"jobs":[{"name":"` + strings.Repeat("n", 65) + `","kind":"video"}]}]`},
		"a made-up bucket":    {routes: `[{"jobs":[{"name":"a","kind":"video","output":"s3://${dir}/x"}]}]`},
		"a variable open":     {routes: `[{"jobs":[{"name":"a","kind":"video","output":"s3://o/${key"}]}]`},
		"the bucket by name":  {routes: `[{"jobs":[{"name":"a","kind":"video","output":"s3://my-media-bucket/x/${key}"}]}]`},
		"under the folder":    {routes: `[{"jobs":[{"name":"a","kind":"video","output":"s3://my-media-bucket/ittybit-output/${key}"}]}]`, ok: true},
		"no JSON":             {routes: `[`},
	} {
		if _, _, err := media.ParseRoutes([]byte(tt.routes), outputs); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	for prefix, ok := range map[string]bool{"out/": true, "a/b/": true, "": false, "/": false, "out": false, "/out/": false, "${key}/": false} {
		if err := (media.Folder{Prefix: prefix}).Check(); (err == nil) != ok {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

func TestWhichUploadsGetJobs(t *testing.T) {
	t.Parallel()
	routes := media.Routes{{Prefix: "uploads/", Suffixes: []string{".mov"}}}
	outputs := media.Folder{Prefix: "ittybit-output/"}
	for key, tt := range map[string]struct {
		size int64
		skip string
	}{
		"uploads/a.mov":                {size: 1},
		"uploads/of unknown size.mov":  {size: media.UnknownSize},
		"uploads/empty.mov":            {size: 0, skip: media.SkipEmpty},
		"uploads/folder.mov/":          {size: 0, skip: media.SkipFolder},
		"uploads/a.txt":                {size: 1, skip: media.SkipNoRoute},
		"ittybit-output/uploads/a.mov": {size: 1, skip: media.SkipOutput},
		"":                             {size: 1, skip: media.SkipNoRoute},
	} {
		route, skip := routes.For(media.Upload{Key: key, Size: tt.size}, outputs)
		if skip != tt.skip || (skip == "") != (route.Prefix == "uploads/") {
			t.Errorf("%q: %+v, %q, want %q", key, route, skip, tt.skip)
		}
	}
}
