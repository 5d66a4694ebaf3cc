package page_test

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/page"
	"ittybit-media/scripts/local/pipeline"
	"ittybit-media/scripts/local/pipelinetest"
)

// served is a pipeline with its page.
type served struct {
	*pipelinetest.Run
	t      *testing.T
	page   *page.Page
	url    string
	ffmpeg bool // the outputs are real
}

// start serves the page of a pipeline; with real outputs where there is ffmpeg.
func start(t *testing.T, realOutputs bool) *served {
	t.Helper()
	s := &served{t: t}
	s.Run = pipelinetest.Start(t, func(o *pipeline.Options) {
		o.Stack = pipelinetest.Config(t, map[string]any{"routes": routes, "dailyJobLimit": 0})
		ffmpeg, err := exec.LookPath("ffmpeg")
		s.ffmpeg = err == nil && realOutputs
		s.page = page.New(page.Options{Clock: o.Clock, Routes: o.Stack.Routes, Outputs: o.Stack.OutputPrefix, FFmpeg: s.ffmpeg})
		o.Observe = s.page.Observe
		o.Ittybit = func(o *fakeittybit.Options) {
			o.Instant = !realOutputs
			if s.ffmpeg {
				o.FFmpeg = ffmpeg
			}
			s.page.Ittybit(o)
		}
	})
	var err error
	if s.url, err = s.page.Start(s.Pipeline); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.page.Close)
	return s
}

var routes = []any{map[string]any{
	"prefix": "uploads/", "suffixes": []any{".mov", ".mp4"},
	"jobs": []any{
		map[string]any{"name": "video", "kind": "video", "options": map[string]any{"width": 320, "format": "mp4"}},
		map[string]any{"name": "thumbnail", "kind": "image", "options": map[string]any{"width": 640, "format": "webp"}},
		map[string]any{"name": "audio", "kind": "audio", "options": map[string]any{"format": "mp3"}, "output": "s3://${bucket}/ittybit-output/${key}.mp3"},
	},
}, map[string]any{
	"prefix": "many/", "suffixes": []any{".mov"},
	"jobs": []any{map[string]any{"name": "video", "kind": "video"}},
}}

// many uploads so many small files at once; a route takes those that end in
// .mov.
func (s *served) many(n int, suffix string) {
	s.t.Helper()
	var g errgroup.Group
	g.SetLimit(16)
	for i := range n {
		g.Go(func() error {
			return s.Objects.Put(s.t.Context(), s.Bucket, fmt.Sprintf("many/%d-%d%s", n, i, suffix), strings.NewReader(fmt.Sprint(i)))
		})
	}
	if err := g.Wait(); err != nil {
		s.t.Fatal(err)
	}
}

// ask sends a request and returns the status and the answer.
func (s *served) ask(method, path, body string, change func(*http.Request)) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestNobodyElseUsesThePage(t *testing.T) {
	t.Parallel()
	s := start(t, false)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	port := s.url[strings.LastIndex(s.url, ":"):]
	for name, tt := range map[string]struct {
		method, path string
		change       func(*http.Request)
		want         int
	}{
		"the page":                      {"GET", "/", nil, 200},
		"by localhost":                  {"GET", "/", host("localhost" + port), 200},
		"by another name":               {"GET", "/", host("rebound.example" + port), 421},
		"changes by another name":       {"GET", "/changes", host("rebound.example" + port), 421},
		"by another port's name":        {"GET", "/", host("127.0.0.1:1"), 421},
		"an upload":                     {"POST", "/uploads?name=a.mov", nil, 204},
		"an upload of this page":        {"POST", "/uploads?name=a.mov", header("Origin", s.url), 204},
		"an upload of another page":     {"POST", "/uploads?name=a.mov", header("Origin", "http://evil.example"), 403},
		"an upload of another site":     {"POST", "/uploads?name=a.mov", header("Sec-Fetch-Site", "cross-site"), 403},
		"a switch of another page":      {"POST", "/switches?name=api&value=down", header("Origin", "null"), 403},
		"sweep by another page":         {"POST", "/sweep", header("Origin", "http://127.0.0.1:1"), 403},
		"a switch that there is not":    {"POST", "/switches?name=api&value=sideways", nil, 400},
		"time that does not pass":       {"POST", "/time?by=-1h", nil, 400},
		"a file without a name":         {"POST", "/uploads", nil, 400},
		"an upload that there is not":   {"GET", "/uploads/77", nil, 404},
		"a file of the program's":       {"GET", "/index.html", nil, 404},
		"switching by following a link": {"GET", "/switches?name=api&value=down", nil, 405},
	} {
		if got, text := s.ask(tt.method, tt.path, "x", tt.change); got != tt.want {
			t.Errorf("%s: %d, want %d: %.200s", name, got, tt.want, text)
		}
	}
}

func TestOutputsAreSandboxedAndElsewhere(t *testing.T) {
	t.Parallel()
	s := start(t, true)
	if code, text := s.ask("POST", "/uploads?name=a.mov", "not a film", nil); code != 204 {
		t.Fatal(text)
	}
	if s.ffmpeg {
		s.Until("the failures", func() bool { return len(s.Rows("uploads/a.mov")) == 3 && s.Rows("uploads/a.mov")[0].State == "failed" })
		return // copies would be easier to tell, but real outputs are what people see
	}
	s.Until("the rows", func() bool { return s.Succeeded("uploads/a.mov") })
	_, page := s.ask("GET", "/uploads/1", "", nil)
	urls := regexp.MustCompile(`(?:src)="(http://127[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(urls) != 3 {
		t.Fatalf("%d outputs in %s", len(urls), page)
	}
	for _, url := range urls {
		if strings.HasPrefix(url[1], s.url) {
			t.Errorf("%s is of one origin with the page", url[1])
		}
		answer, err := http.Get(url[1])
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		if string(body) != "not a film" || !strings.HasPrefix(answer.Header.Get("Content-Security-Policy"), "sandbox; default-src 'none'") || answer.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s, %q, %v", url[1], answer.Status, body, answer.Header)
		}
	}
}

// TestOldUploadsAreLetGo uploads more than the page keeps.
func TestOldUploadsAreLetGo(t *testing.T) {
	t.Parallel()
	s := start(t, false)
	s.many(1200, ".txt")
	if code, _ := s.ask("GET", "/uploads/1", "", nil); code != 404 {
		t.Errorf("the first of 1,200 uploads is still kept: %d", code)
	}
	if code, text := s.ask("GET", "/uploads/1200", "", nil); code != 200 || !strings.Contains(text, "What happened") {
		t.Errorf("the last one is not: %d", code)
	}
}

// TestLookingOnLeavesNothing opens and closes the stream of changes many times.
func TestLookingOnLeavesNothing(t *testing.T) {
	s := start(t, false)
	look := func() {
		answer, err := http.Get(s.url + "/changes?since=0")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := answer.Body.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	look()
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	for range 50 {
		look()
	}
	http.DefaultClient.CloseIdleConnections()
	s.Until("the goroutines' end", func() bool {
		s.many(1, ".txt") // something changes: who has gone is noticed
		return runtime.NumGoroutine() < before+25
	})
}
