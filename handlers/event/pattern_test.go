package event_test

import (
	"fmt"
	"strings"
	"testing"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
)

func parse(t testing.TB, routes string) media.Routes {
	t.Helper()
	r, warnings, err := media.ParseRoutes([]byte(routes), media.Folder{Bucket: "my-media-bucket", Prefix: "ittybit-output/"})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	return r
}

func TestEventPattern(t *testing.T) {
	t.Parallel()
	routes := parse(t, `[
		{"prefix": "a/", "suffixes": [".MOV", ".mp4"], "jobs": [{"name": "v", "kind": "video"}]},
		{"prefix": "b/", "suffixes": [".mov", ".wav"], "jobs": [{"name": "a", "kind": "audio"}]}]`)
	got, err := event.Pattern("my-media-bucket", routes)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["my-media-bucket"]},"object":{"key":[` +
		`{"suffix":{"equals-ignore-case":".mov"}},{"suffix":{"equals-ignore-case":".mp4"}},{"suffix":{"equals-ignore-case":".wav"}}]}}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEventPatternTooLong(t *testing.T) {
	t.Parallel()
	with := func(n int) media.Routes {
		var suffixes []string
		for i := range n {
			suffixes = append(suffixes, fmt.Sprintf(".s%02d", i))
		}
		return media.Routes{{Suffixes: suffixes}}
	}
	most := 0
	for n := 1; n < 100; n++ {
		pattern, err := event.Pattern("", with(n))
		if err != nil {
			break
		}
		if most = n; len(pattern)+63 > event.MaxPattern {
			t.Fatalf("%d suffixes: a pattern of %d characters and a bucket is accepted", n, len(pattern))
		}
	}
	if most < 40 || most > 50 {
		t.Errorf("%d suffixes fit; some 43 should", most)
	}
	if _, err := event.Pattern("b", with(99)); err == nil || !strings.Contains(err.Error(), "99 different suffixes") {
		t.Errorf("99 suffixes: %v", err)
	}
}
