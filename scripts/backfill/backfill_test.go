package main

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ittybit-media/infra/bundle"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/pipelinetest"
)

// odd are keys that something on the way could spoil.
var odd = []string{
	`films/'single' "double".mov`,
	"films/100% plus+plus & more.MOV",
	"films/%41%2F.mov",
	"films/a  b.mov",
	"films/é ü 日本 🎬.mp4",
	"films/hash#question?.mov",
	"films/line\nbreak\ttab\x01.mov",
	"films//two/./dots/../.mov",
	"films/<x>&amp;.mov",
}

func TestWhatIsThereGetsItsJobs(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.before(odd...)
	w.before("films/notes.txt", "films/folder.mov/", "ittybit-output/films/x.mov")
	w.Put("films/live.mov", "x")
	w.Quiet()

	r := w.do(t.Context(), fast, "-yes")
	if r.Code != cli.ExitOK {
		t.Fatal(r.Stdout + r.Stderr)
	}
	for _, text := range []string{
		"s3://my-media-bucket: 13 objects, of which 10 to send, unless the table has their jobs",
		"Jobs: at most 30. Ittybit charges for each; its price is not known here.",
		"AWS: about $0.00", "Time: 0.0 s or more, at 10000 objects a second.",
		"13 objects: 9 sent, for 27 jobs",
		"1  skipped: already there", "1  skipped: folder marker", "1  skipped: output folder", "1  skipped: no route",
	} {
		if !strings.Contains(r.Stdout, text) {
			t.Errorf("it does not say %q:\n%s", text, r.Stdout)
		}
	}
	all := append([]string{"films/live.mov"}, odd...)
	w.wantOnce(all...)
	if got := w.invocations(); got != len(odd) {
		t.Errorf("Lambda was invoked %d times", got)
	}
	if _, err := os.Stat(w.checkpoint); !os.IsNotExist(err) {
		t.Errorf("a finished run leaves a checkpoint: %v", err)
	}

	again := w.well()
	if len(again.lines) > 0 || again.summary.Skipped["already there"] != 10 || !again.summary.Finished {
		t.Errorf("again: %+v, %+v", again.lines, again.summary)
	}
	w.wantOnce(all...)
}

func TestJSONTellsOfEachObjectAndOfAll(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.before("b.mov", "a.mov", "c.txt")
	r := w.well()
	if !slices.Equal(r.keys(), []string{"a.mov", "b.mov"}) {
		t.Errorf("%q, in that order", r.keys())
	}
	for _, line := range r.lines {
		if jobs := slices.Sorted(slices.Values(line.Jobs)); !line.Sent || line.Upload == "" || !slices.Equal(jobs, pipelinetest.Jobs) {
			t.Errorf("%+v", line)
		}
	}
	if s := r.summary; s.Bucket != w.Bucket || s.Objects != 3 || s.Sent != 2 || s.Jobs != 6 || s.Bytes != 2*int64(len("of a.mov")) || s.Skipped["no route"] != 1 || !s.Finished || s.Stopped != "" || s.DryRun {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(r.Stderr, "of which 2 to send") {
		t.Errorf("people are told nothing: %q", r.Stderr)
	}
	w.Quiet()
	if row := w.Rows("a.mov")[0]; row.Upload != r.lines[0].Upload {
		t.Errorf("the upload is %s in the table, and not %s", row.Upload, r.lines[0].Upload)
	}
}

func TestADryRunDoesNothing(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.before("a.mov", "b.mov")
	w.Put("live.mov", "x")
	w.Quiet()
	r := w.do(t.Context(), "-dry-run")
	if r.Code != cli.ExitOK || !strings.Contains(r.Stdout, "a.mov: video, thumbnail, audio\nb.mov: video, thumbnail, audio\n3 objects: 2 would be sent, for 6 jobs\n") {
		t.Errorf("%d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if got := w.well("-dry-run"); !slices.Equal(got.keys(), []string{"a.mov", "b.mov"}) || got.lines[0].Sent || !got.summary.DryRun || got.summary.Sent != 2 {
		t.Errorf("%+v, %+v", got.lines, got.summary)
	}
	w.wantOnce("live.mov")
	if _, err := os.Stat(w.checkpoint); w.invocations() > 0 || !os.IsNotExist(err) {
		t.Errorf("%d invocations; checkpoint: %v", w.invocations(), err)
	}
}

func TestItAsksFirst(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.before("a.mov")
	r := w.do(t.Context(), fast)
	if r.Code != cli.ExitUsage || !strings.Contains(r.Stderr, "Hand up to 1 object to dispatch?: there is no terminal to answer at; -yes does it") || !strings.Contains(r.Stdout, "Jobs: at most 3") {
		t.Errorf("%d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if r := w.Answer("n", fast, "-checkpoint", w.checkpoint); r.Code != cli.ExitFailed || !strings.Contains(r.Stderr, "not confirmed") {
		t.Errorf("told not to: %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if w.invocations() > 0 {
		t.Error("and does it all the same")
	}
	if r := w.do(t.Context(), "-prefix", "b"); r.Code != cli.ExitOK || !strings.Contains(r.Stdout, "s3://my-media-bucket under b: there is nothing to send\n0 objects: 0 sent, for 0 jobs\n") {
		t.Errorf("with nothing to do: %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if r := w.Answer("y", fast, "-checkpoint", w.checkpoint); r.Code != cli.ExitOK {
		t.Errorf("told to: %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	w.wantOnce("a.mov")
}

func TestTheCheckpointIsTheStacksAndTheSelections(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.before("a.mov", "b.mov", "c.mov")
	root, err := bundle.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	name := "test-" + rand.Text()
	files := func() []string {
		files, err := filepath.Glob(filepath.Join(root, ".build", "backfill", name+"-*"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	t.Cleanup(func() {
		for _, file := range files() {
			_ = os.Remove(file)
		}
	})
	for i, more := range [][]string{{}, {"-suffix", ".mov"}} {
		r := w.Do(append([]string{"-stack", name, fast, "-yes", "-limit", "1"}, more...)...)
		if r.Code != cli.ExitOK || len(files()) != i+1 {
			t.Fatalf("%d: %q\n%s%s", r.Code, files(), r.Stdout, r.Stderr)
		}
	}
	for _, file := range files() {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
}
