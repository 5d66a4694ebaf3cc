package fakeittybit_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ittybit-media/scripts/local/fakeittybit"
)

func TestWithoutFFmpegOutputsAreCopies(t *testing.T) {
	t.Parallel()
	var notices []string
	files, data := newStorage(t), []byte("0123456789")
	files.add(t, "b", "in/my clip #1 100%d.mov", data)
	dir := t.TempDir()
	a := serve(t, fakeittybit.Options{Storage: files, Dir: dir, Notice: func(text string) { notices = append(notices, text) }})
	if len(notices) != 1 || !strings.Contains(notices[0], "ffmpeg") {
		t.Errorf("notices %q, want one about ffmpeg", notices)
	}
	id := a.create(`{"input":"s3://b/in/my clip #1 100%d.mov","kind":"video"}`)
	j := a.job(id)
	if j.Status != fakeittybit.Succeeded {
		t.Fatalf("%s: %v", j.Status, j.Failure)
	}
	if want := a.url + "/outputs/" + id + "/my%20clip%20%231%20100%25d.mp4"; j.OutputURL != want {
		t.Errorf("output %s, want %s", j.OutputURL, want)
	}
	path := strings.TrimPrefix(j.OutputURL, a.url)
	r := a.do("GET", path, "", "Authorization", "")
	if r.status != 200 || !bytes.Equal(r.body, data) || r.header.Get("Content-Type") != "video/mp4" {
		t.Errorf("%d %q %s, want 200 with the input as video/mp4", r.status, r.body, r.header.Get("Content-Type"))
	}
	r = a.do("GET", path, "", "Range", "bytes=2-4")
	if r.status != 206 || string(r.body) != "234" {
		t.Errorf("a range: %d %q, want 206 with 234", r.status, r.body)
	}
	if files.stillOpen() != 0 {
		t.Error("an input was not released")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "work-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestOutputsLeadNowhereElse(t *testing.T) {
	t.Parallel()
	files := newStorage(t)
	files.add(t, "b", "video.mov", []byte("data"))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := serve(t, fakeittybit.Options{Storage: files, Dir: dir})
	id := a.job(a.create(`{"input":"s3://b/video.mov","kind":"video"}`)).ID
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(dir, id, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, id, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/outputs/secret", "/outputs/./secret", "/outputs/../secret", "/outputs/%2e%2e/secret",
		"/outputs/" + id, "/outputs/" + id + "/", "/outputs/" + id + "/..", "/outputs/" + id + "/../secret",
		"/outputs/" + id + "/..%2fsecret", "/outputs/" + id + "/%2e%2e%2fsecret", "/outputs/" + id + "/..%5csecret",
		"/outputs/" + id + "/link", "/outputs/" + id + "/folder", "/outputs/" + id + "/%2e", "/outputs/" + id + "/nothing",
		"/outputs/%2e%2e/" + filepath.Base(dir) + "/secret", "/outputs//secret",
		"/outputs/job_other/video.mp4",
	} {
		// Not through a client, which would tidy the path.
		r := httptest.NewRequest("GET", path, nil)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code == 200 || strings.Contains(w.Body.String(), "secret\n") || w.Body.String() == "secret" {
			t.Errorf("GET %s: %d %q", path, w.Code, w.Body)
		}
	}
}

func TestOutputToS3(t *testing.T) {
	t.Parallel()
	files := newStorage(t)
	const key = "in//ä %2F+?#.tar.mov" // as it is, never decoded
	files.add(t, "b", key, []byte("data"))
	a := serve(t, fakeittybit.Options{Storage: files, Clock: newFakeClock()})
	j := a.job(a.create(`{"input":"s3://b/` + key + `","kind":"image","output":"s3://out/x//{date}/{filename}.jpg"}`))
	const stored = "x//2026-04-03/ä %2F+?#.tar.jpg"
	if j.Status != fakeittybit.Succeeded || j.OutputURL != "s3://out/"+stored {
		t.Fatalf("%s %s (%v), want s3://out/%s", j.Status, j.OutputURL, j.Failure, stored)
	}
	if got := files.get("out", stored); string(got) != "data" {
		t.Errorf("stored %q, want the input's bytes", got)
	}
}

func TestAKeyCanBeMistaken(t *testing.T) {
	t.Parallel()
	files := newStorage(t)
	files.add(t, "b", "a", []byte("data"))
	a := serve(t, fakeittybit.Options{Storage: files, ReadKey: func(key string) string {
		before, _, _ := strings.Cut(key, "#")
		return before
	}})
	for input, want := range map[string]fakeittybit.Status{"s3://b/a#b": fakeittybit.Succeeded, "s3://b/b#a": fakeittybit.Failed} {
		if j := a.job(a.create(fmt.Sprintf(`{"input":%q,"kind":"image"}`, input))); j.Status != want {
			t.Errorf("%s: %s %v, want %s", input, j.Status, j.Failure, want)
		}
	}
}

func TestInputsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	a := serve(t, fakeittybit.Options{Storage: newStorage(t)})
	for input, want := range map[string]string{
		"s3://b/nothing": "input_not_found",
		"http://127.0.0.1:1/a?X-Amz-Signature=secret": "input_unreadable",
	} {
		j := a.job(a.create(fmt.Sprintf(`{"input":%q,"kind":"video"}`, input)))
		if j.Status != fakeittybit.Failed || j.Failure.Kind != want {
			t.Errorf("%s: %s %v, want failed with %s", input, j.Status, j.Failure, want)
		} else if strings.Contains(j.Failure.Message, "secret") {
			t.Errorf("%s: the failure tells the signature: %s", input, j.Failure.Message)
		}
	}
	without := serve(t, fakeittybit.Options{})
	if j := without.job(without.create(plainJob)); j.Status != fakeittybit.Failed || j.Failure.Kind != "connection_missing" {
		t.Errorf("without storage: %s %v, want failed with connection_missing", j.Status, j.Failure)
	}
}

func TestNamesOfOutputs(t *testing.T) {
	t.Parallel()
	files := newStorage(t)
	a := serve(t, fakeittybit.Options{Storage: files})
	for key, want := range map[string]string{
		"video.mov":                           "video.mp4",
		"a/.mov":                              "output.mp4",
		"a/...":                               "output.mp4",
		`a/..\..\x.mov`:                       "_.._x.mp4",
		"a/-i.mov":                            "-i.mp4",
		"a/" + strings.Repeat("ä", 200):       strings.Repeat("ä", 60) + ".mp4",
		"a/" + strings.Repeat("x", 200) + "/": "output.mp4",
	} {
		files.add(t, "b", key, []byte(key))
		j := a.job(a.create(fmt.Sprintf(`{"input":%q,"kind":"video"}`, "s3://b/"+key)))
		path, _ := strings.CutPrefix(j.OutputURL, a.url)
		r := a.do("GET", path, "")
		if r.status != 200 || string(r.body) != key {
			t.Errorf("%q: GET %s: %d %q (%v)", key, path, r.status, r.body, j.Failure)
		}
		name, err := filepath.Abs(filepath.FromSlash(path))
		if err != nil || !strings.HasSuffix(mustUnescape(t, name), "/"+want) {
			t.Errorf("%q became %s, want %s", key, path, want)
		}
	}
}
