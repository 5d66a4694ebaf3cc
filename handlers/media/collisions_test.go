package media_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ittybit-media/handlers/media"
)

// object is a route or job of a configuration.
type object = map[string]any

func check(t testing.TB, routes ...any) media.Problems {
	t.Helper()
	data, err := json.Marshal(routes)
	if err != nil {
		t.Fatal(err)
	}
	_, warnings, err := media.CheckRoutes(data, outputs)
	if len(warnings) > 0 {
		t.Fatal(warnings)
	}
	problems, _ := errors.AsType[media.Problems](err)
	return problems
}

func TestAnOutputBelongsToOneUpload(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		output   string
		prefix   string
		suffixes []string
		kind     string
		says     string // "": it is right
	}{
		"the whole key":                {output: "s3://o/${key}.mp3"},
		"the key as it is":             {output: "s3://o/${key}"},
		"all of its parts":             {output: "s3://o/x/${dir}${stem}${ext}.mp3"},
		"all of its parts, apart":      {output: "s3://o/${ext}/${dir}x/${stem}"},
		"a file name in the middle":    {output: "s3://o/${dir}small-${stem}-1080p${ext}"},
		"the upload":                   {output: "s3://o/${upload}.mp3"},
		"the upload beside a stem":     {output: "s3://o/${stem}${upload}${ext}"},
		"the key twice":                {output: "s3://o/${key}/${stem}.mp3"},
		"a day and the key":            {output: "s3://o/{date}/${key}"},
		"the key and a day":            {output: "s3://o/${key}-{date}.mp4"},
		"the watched bucket":           {output: "s3://${bucket}/ittybit-output/${key}.mp4"},
		"no extension":                 {output: "s3://o/${dir}${stem}.mp3", says: "it lacks ${ext};"},
		"no folder":                    {output: "s3://o/${stem}${ext}", says: "it lacks ${dir};"},
		"the stem alone":               {output: "s3://o/${stem}.mp4", says: "it lacks ${dir}, ${ext};"},
		"the job and the bucket":       {output: "s3://o/${bucket}/${job}.mp4", says: "it lacks ${dir}, ${stem}, ${ext};"},
		"one file for all":             {output: "s3://o/latest.mp4", says: "add ${key}, or all of ${dir}, ${stem} and ${ext}, or ${upload}"},
		"what Ittybit fills in":        {output: "s3://o/{date}/{filename}.mp4", says: "it lacks"},
		"one suffix, for its case":     {output: "s3://o/${dir}${stem}.mp4", suffixes: []string{".mov"}, says: "it lacks ${ext}"},
		"the stem before the folder":   {output: "s3://o/${stem}${dir}${ext}", says: "run into each other"},
		"a prefix that tells them":     {output: "s3://o/${stem}${dir}${ext}", prefix: "uploads/"},
		"the extension before a stem":  {output: "s3://o/${dir}${ext}${stem}", suffixes: []string{".m", ".mov"}, says: "run into each other"},
		"the same, told by one suffix": {output: "s3://o/${dir}${ext}${stem}", suffixes: []string{".mov"}},
		"a stem beside Ittybit's":      {output: "s3://o/${dir}${stem}{filename}${ext}", says: "run into each other"},
		"a folder for each stream":     {output: "s3://o/${key}/index.m3u8", kind: "adaptive_video"},
		"a folder, without a name":     {output: "s3://o/${upload}/", kind: "adaptive_video"},
		"streams in one folder":        {output: "s3://o/${key}.m3u8", kind: "adaptive_video", says: "folder of this output, where the segments go: it lacks"},
		"streams of one stem":          {output: "s3://o/${dir}${stem}/index${ext}", kind: "adaptive_video", says: "it lacks ${ext}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := object{"name": "j", "kind": "video", "output": tt.output}
			route := object{"prefix": tt.prefix, "jobs": []any{job}}
			if tt.kind != "" {
				job["kind"] = tt.kind
			}
			if tt.suffixes != nil {
				route["suffixes"] = tt.suffixes
			}
			problems := check(t, route)
			if tt.says == "" && len(problems) > 0 {
				t.Fatal(problems)
			}
			if tt.says == "" {
				return
			}
			if len(problems) != 1 || problems[0].Path != "routes[0].jobs[0].output" || !strings.Contains(problems[0].Text, tt.says) {
				t.Errorf("%v does not say %q", problems, tt.says)
			}
			if job["outputCollisions"] = "allow"; check(t, route) != nil {
				t.Error("it is not accepted either: ", check(t, route))
			}
		})
	}
}

func TestJobsDoNotShareOutputs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		first, second [3]string // prefix, suffix, output; the same prefix and suffix are one route
		kind          string
		ok            bool
	}{
		"the same in a route":           {first: [3]string{"u/", ".mov", "s3://o/${key}"}, second: [3]string{"u/", ".mov", "s3://o/${key}"}},
		"the same in other words":       {first: [3]string{"u/", ".mov", "s3://o/${key}"}, second: [3]string{"u/", ".mov", "s3://o/${dir}${stem}${ext}"}},
		"the bucket by name":            {first: [3]string{"u/", ".mov", "s3://${bucket}/ittybit-output/${key}"}, second: [3]string{"u/", ".mov", "s3://my-media-bucket/ittybit-output/${key}"}},
		"told by the job":               {first: [3]string{"u/", ".mov", "s3://o/${job}/${key}"}, second: [3]string{"u/", ".mov", "s3://o/${job}/${key}"}, ok: true},
		"told by the job, in the end":   {first: [3]string{"u/", ".mov", "s3://o/${upload}-${job}"}, second: [3]string{"u/", ".mov", "s3://o/${upload}${job}"}, ok: true},
		"told by the ending":            {first: [3]string{"u/", ".mov", "s3://o/${key}.mp4"}, second: [3]string{"u/", ".mov", "s3://o/${key}.mp3"}, ok: true},
		"told by the suffix":            {first: [3]string{"u/", ".mov", "s3://o/${key}.mp4"}, second: [3]string{"u/", ".mov", "s3://o/${key}-small.mp4"}, ok: true},
		"a stem takes the other's end":  {first: [3]string{"u/", ".mov", "s3://o/${ext}/${dir}${stem}.mp4"}, second: [3]string{"u/", ".mov", "s3://o/${ext}/${dir}${stem}-small.mp4"}},
		"told by the bucket":            {first: [3]string{"u/", ".mov", "s3://o/${key}"}, second: [3]string{"u/", ".mov", "s3://p/${key}"}, ok: true},
		"a key that is another's out":   {first: [3]string{"u/", ".mp4", "s3://o/${key}"}, second: [3]string{"u/", ".mp4", "s3://o/${key}.mp4"}},
		"told by the suffix alone":      {first: [3]string{"u/", ".mov", "s3://o/${key}"}, second: [3]string{"u/", ".mov", "s3://o/${key}.mp4"}, ok: true},
		"two prefixes":                  {first: [3]string{"u/", ".mov", "s3://o/${key}"}, second: [3]string{"v/", ".mov", "s3://o/${key}"}, ok: true},
		"one prefix in the other":       {first: [3]string{"u/clips/", ".mov", "s3://o/${key}"}, second: [3]string{"u/", ".mov", "s3://o/${key}"}, ok: true},
		"the same, in other words":      {first: [3]string{"u/clips/", ".mov", "s3://o/${key}"}, second: [3]string{"u/", ".mov", "s3://o/${dir}${stem}${ext}"}, ok: true},
		"a prefix that is written out":  {first: [3]string{"u/", ".mov", "s3://o/${key}"}, second: [3]string{"clips/", ".mov", "s3://o/u/${key}"}},
		"two suffixes":                  {first: [3]string{"u/", ".mov", "s3://o/${dir}x${stem}${ext}"}, second: [3]string{"u/", ".wav", "s3://o/${dir}x${stem}${ext}"}, ok: true},
		"each right, not both together": {first: [3]string{"", ".m", "s3://o/${dir}${ext}${stem}"}, second: [3]string{"", ".mov", "s3://o/${dir}${ext}${stem}"}},
		"streams in the same folder":    {first: [3]string{"u/", ".mov", "s3://o/${key}/a.m3u8"}, second: [3]string{"u/", ".mov", "s3://o/${key}/b.m3u8"}, kind: "adaptive_video"},
		"streams in two folders":        {first: [3]string{"u/", ".mov", "s3://o/${key}/a/"}, second: [3]string{"u/", ".mov", "s3://o/${key}/b/"}, kind: "adaptive_video", ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			jobs := make([]object, 2)
			var routes []any
			for i, spec := range [][3]string{tt.first, tt.second} {
				jobs[i] = object{"name": string(rune('a' + i)), "kind": "video", "output": spec[2]}
				if tt.kind != "" {
					jobs[i]["kind"] = tt.kind
				}
				routes = append(routes, object{"prefix": spec[0], "suffixes": []string{spec[1]}, "jobs": []any{jobs[i]}})
			}
			at := "routes[1].jobs[0].output"
			if tt.first[0] == tt.second[0] && tt.first[1] == tt.second[1] {
				routes = []any{object{"prefix": tt.first[0], "suffixes": []string{tt.first[1]}, "jobs": jobs}}
				at = "routes[0].jobs[1].output"
			}
			problems := check(t, routes...)
			if tt.ok && len(problems) > 0 {
				t.Error(problems)
			}
			if tt.ok {
				return
			}
			if len(problems) != 1 || problems[0].Path != at || !strings.Contains(problems[0].Text, "the same as routes[0].jobs[0].output") {
				t.Errorf("got %v at %s", problems, at)
			}
			if jobs[1]["outputCollisions"] = "allow"; check(t, routes...) == nil {
				t.Error("the other job was not asked")
			}
			if jobs[0]["outputCollisions"] = "allow"; check(t, routes...) != nil {
				t.Error("it is not accepted either: ", check(t, routes...))
			}
		})
	}
}

// A fixed output meets another job's for a single key: one in capitals, and one
// that is shorter than the route's prefix and suffix together.
func TestAFixedOutputIsNotAnothersForAnyKey(t *testing.T) {
	t.Parallel()
	of := func(prefix, output, accepted string) object {
		job := object{"name": "j", "kind": "video", "output": "s3://o/" + output, "outputCollisions": accepted}
		return object{"prefix": prefix, "suffixes": []string{".mov"}, "jobs": []any{job}}
	}
	for _, tt := range []struct{ prefix, template, fixed string }{
		{"u/", "${dir}x${stem}${ext}", "u/x.MOV"},
		{"u/.m", "${key}", "u/.m.MOV"},
		{"u/.m", "${key}", "u/.mov"},
	} {
		problems := check(t, of(tt.prefix, tt.template, ""), of("v/", tt.fixed, "allow"))
		if len(problems) != 1 || !strings.Contains(problems[0].Text, "the same as routes[0].jobs[0].output") {
			t.Errorf("%+v: %v", tt, problems)
		}
		if problems := check(t, of(tt.prefix, tt.template, ""), of("v/", "elsewhere/"+tt.fixed, "allow")); problems != nil {
			t.Errorf("%+v, elsewhere: %v", tt, problems)
		}
	}
}

// What is deployed stays readable: for dispatch, and for the scripts.
func TestDeployedRoutesAreNotChecked(t *testing.T) {
	t.Parallel()
	const deployed = `[{"jobs":[{"name":"a","kind":"video","output":"s3://o/${stem}.mp4"},{"name":"b","kind":"video","output":"s3://o/${stem}.mp4"}]}]`
	if _, _, err := media.ParseRoutes([]byte(deployed), outputs); err != nil {
		t.Error(err)
	}
	if _, err := media.ParseRoutesFile([]byte(`{"routes":`+deployed+`}`), outputs); err != nil {
		t.Error(err)
	}
}

func TestCollisionsBesideOtherMistakes(t *testing.T) {
	t.Parallel()
	job := object{"name": "a", "kind": "vidio", "output": "s3://o/${stem}.mp4"}
	problems := check(t, object{"suffixes": []any{}, "jobs": []any{job, object{"name": "b", "kind": "video", "output": "s3://o/${stm}"}}}, "route")
	var paths []string
	for _, p := range problems {
		paths = append(paths, p.Path)
	}
	if want := []string{"routes[0].suffixes", "routes[0].jobs[0].kind", "routes[0].jobs[1].output", "routes[1]", "routes[0].jobs[0].output"}; !slices.Equal(paths, want) {
		t.Errorf("got %q, want %q", paths, want)
	}
}

// The largest configuration is checked while somebody waits.
func BenchmarkLargestConfiguration(b *testing.B) {
	var routes []any
	for i := range media.MaxRoutes {
		var jobs []any
		for j := range media.MaxJobs {
			jobs = append(jobs, object{"name": fmt.Sprintf("j%d", j), "kind": "video", "output": "s3://o/${key}/${job}.mp4"})
		}
		routes = append(routes, object{"prefix": fmt.Sprintf("uploads/%d", i), "jobs": jobs})
	}
	data, err := json.Marshal(routes)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := media.CheckRoutes(data, outputs); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzOutputs: of templates that the configuration accepts, no two uploads and
// no two jobs ever have one output.
func FuzzOutputs(f *testing.F) {
	for seed := range uint64(1000) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := &outputWorld{rand.New(rand.NewPCG(seed, 0))}
		routes := w.routes()
		data, err := json.Marshal(routes)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := media.ParseRoutes(data, outputs); err != nil {
			t.Fatal(err) // it would prove nothing
		}
		parsed, _, err := media.CheckRoutes(data, outputs)
		if err != nil {
			return
		}
		from := map[string]string{}
		for _, key := range w.keys(routes) {
			route, ok := parsed.Match(key)
			if !ok {
				continue
			}
			for _, job := range route.Jobs {
				ref := media.JobRef{Bucket: outputs.Bucket, Key: key, Job: job.Name}
				ref.Upload = media.Upload{Bucket: ref.Bucket, Key: key, ETag: "e"}.ID("table")
				url, err := job.Output.Render(ref)
				if err != nil {
					continue
				}
				if job.Kind == "adaptive_video" {
					url = url[:strings.LastIndex(url, "/")+1]
				}
				of := fmt.Sprintf("job %s of %q", job.Name, key)
				if other, taken := from[url]; taken && other != of {
					t.Fatalf("%s\n%s and %s both write %q", data, other, of, url)
				}
				from[url] = of
			}
		}
	})
}

// outputWorld makes up configurations, and keys that are likely to meet.
type outputWorld struct{ *rand.Rand }

func (w *outputWorld) one(of ...string) string { return of[w.IntN(len(of))] }

func (w *outputWorld) some(most int, of ...string) string {
	var b strings.Builder
	for range w.IntN(most + 1) {
		b.WriteString(w.one(of...))
	}
	return b.String()
}

func (w *outputWorld) template() string {
	whole := w.one("${key}", "${key}", "${dir}${stem}${ext}", "${upload}", "${dir}", "${stem}/${ext}${dir}")
	return "s3://" + w.one("o", "o", "p") + "/" + w.piece() + whole + w.piece()
}

func (w *outputWorld) piece() string {
	return w.some(3, "a", ".m", "/", "-", "ov", "u/", "${stem}", "${ext}", "${dir}", "${job}", "${bucket}")
}

func (w *outputWorld) routes() []object {
	var routes []object
	for i := range 1 + w.IntN(2) {
		var jobs []object
		for j := range 1 + w.IntN(2) {
			jobs = append(jobs, object{"name": fmt.Sprintf("%s%d%d", w.some(1, "a", "ov"), i, j), "kind": w.one("video", "video", "adaptive_video"), "output": w.template()})
		}
		suffixes := []string{w.one(".m", ".mov", ".a.m", "a/b.m", ".a/m")}
		if w.IntN(2) == 0 {
			suffixes = append(suffixes, w.one(".ov", ".wav", ".v"))
		}
		routes = append(routes, object{"prefix": w.one("", "", "u/", "u/a", "a/", "u/.m"), "suffixes": suffixes, "jobs": jobs})
	}
	return routes
}

func (w *outputWorld) keys(routes []object) []string {
	var keys []string
	for range 150 {
		r := routes[w.IntN(len(routes))]
		suffix := w.one(r["suffixes"].([]string)...)
		if w.IntN(3) == 0 {
			suffix = strings.ToUpper(suffix)
		}
		prefix := r["prefix"].(string)
		middle := w.some(4, "a", "/", ".m", "ov", "u/", "-", ".", suffix)
		keys = append(keys, prefix+middle+suffix)
		if overlap := len(prefix) - 2; overlap >= 0 && strings.HasPrefix(suffix, prefix[overlap:]) {
			keys = append(keys, prefix[:overlap]+suffix)
		}
	}
	return keys
}
