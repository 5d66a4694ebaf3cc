package chaos

import (
	"fmt"
	"strings"
	"time"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/local/fakeittybit"
)

// maxBytes is what the route of small files takes.
const maxBytes = 64

// config is the stack that is put to the test: three jobs for each upload, one
// of them with an output of its own, and a route with a limit.
func config() (stack.Config, error) {
	jobs := []any{
		map[string]any{"name": "video", "kind": "video", "options": map[string]any{"width": 1920, "format": "mp4", "quality": "high"}},
		map[string]any{"name": "thumbnail", "kind": "image", "options": map[string]any{"width": 640, "format": "webp", "start": 2}},
		map[string]any{"name": "audio", "kind": "audio", "options": map[string]any{"format": "mp3"}, "output": "s3://${bucket}/ittybit-output/${key}.mp3"},
	}
	suffixes := []any{".mov", ".mp4", ".mkv", ".webm"}
	c, _, err := stack.Parse(map[string]any{
		"connectionId":  "conn_chaos",
		"dailyJobLimit": 0,
		"routes": []any{
			map[string]any{"prefix": "uploads/", "suffixes": suffixes, "jobs": jobs},
			map[string]any{"prefix": "small/", "suffixes": suffixes, "maxBytes": maxBytes, "jobs": jobs},
		},
	})
	return c, err
}

// upload is one object that is put into the bucket.
type upload struct {
	number int
	key    string
	body   string
}

// What Ittybit makes of an upload stands in its key.
const (
	corrupt   = "corrupt"   // its jobs fail
	cancelled = "cancelled" // its jobs are cancelled
	refused   = "refused"   // its jobs are refused with a 400
	plain     = "clip"
)

// oddities are parts of keys that URLs, JSON, shells or templates treat in a
// way of their own.
var oddities = []string{
	"", "", "", "", " b", "+b", "%41", "#b", "?b&c=d", `"quoted"'s`, "<b>", "😀", "ملف\u200f", "/../over", "//b", "{brace}", "\\b", strings.Repeat("k", 900),
}

var suffixes = []string{".mov", ".MOV", ".mp4", ".mkv", ".WebM"}

// uploads are the first n, the same for every seed.
func uploads(n int) []upload {
	all := make([]upload, n)
	for i := range all {
		name := func(prefix, fate string) string {
			return fmt.Sprintf("%s%s-%05d%s%s", prefix, fate, i, oddities[i*7%len(oddities)], suffixes[i%len(suffixes)])
		}
		u := upload{number: i, key: name("uploads/", plain), body: fmt.Sprintf("upload %d", i)}
		switch i % 40 {
		case 5:
			u.key = name("uploads/", corrupt)
		case 9:
			u.key = name("uploads/", refused)
		case 13: // the same key as the one before
			u.key = all[i-1].key
		case 17:
			u.key, u.body = name("small/", plain), u.body+strings.Repeat(".", maxBytes)
		case 18:
			u.key = name("small/", plain)
		case 21:
			u.key, u.body = fmt.Sprintf("uploads/folder-%05d/", i), ""
		case 25:
			u.body = ""
		case 29:
			u.key = name("uploads/", cancelled)
		case 33:
			u.key = fmt.Sprintf("uploads/%05d.txt", i)
		case 37:
			u.key = name("ittybit-output/", plain)
		}
		all[i] = u
	}
	return all
}

// ending is how the jobs of an input end.
func ending(input string) fakeittybit.Outcome {
	switch {
	case strings.Contains(input, "/"+corrupt+"-"):
		return fakeittybit.Outcome{Status: fakeittybit.Failed, Message: "the input is damaged"}
	case strings.Contains(input, "/"+cancelled+"-"):
		return fakeittybit.Outcome{Status: fakeittybit.Cancelled}
	}
	return fakeittybit.Outcome{}
}

// refusal is Ittybit's answer to what it will never take.
func refusal(r fakeittybit.Request) (fakeittybit.Fault, bool) {
	if r.Op != fakeittybit.Create || !strings.Contains(r.Input, "/"+refused+"-") {
		return fakeittybit.Fault{}, false
	}
	return fakeittybit.Fault{Status: 400, Kind: "invalid_input", Message: "the input cannot be read"}, true
}

// The course of a run, in simulated time: most uploads come before the outage,
// some in it, the rest after it. The outage is longer than Ittybit remembers
// idempotency keys, and nobody is called back in it: what was made just before
// it and not noted can only be found by asking.
const (
	rotation    = 11 * time.Minute // while the second wave is worked on
	outageBegin = 4 * time.Hour
	outageEnd   = 30 * time.Hour
	limit       = 7 * 24 * time.Hour
)

// waves are when uploads come, and which part of them.
var waves = []struct {
	at   time.Duration
	part float64
}{
	{0, .3}, {10 * time.Minute, .3}, {outageBegin - time.Minute, .06},
	{5 * time.Hour, .02}, {20 * time.Hour, .02}, {outageEnd - time.Minute, .06}, {32 * time.Hour, .2},
}

// slow is how many uploads, the first ones, get no answer in time: together, as
// each keeps a process waiting for seconds.
const (
	slow     = 8
	slowKind = "video" // of the job
)

func isSlow(number, n int) bool { return number < min(slow, n/5) }
