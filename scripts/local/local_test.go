package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ittybit-media/scripts/local/access"
	"ittybit-media/scripts/local/pipelinetest"
)

// TestMain is also the command itself, for the tests that need it as a process.
func TestMain(m *testing.M) {
	if err := os.Chdir(filepath.Join("..", "..")); err != nil { // where the README runs it
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Getenv("LOCAL_TEST_COMMAND") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const sample = "testdata/sample.mov"

func local(t *testing.T, args ...string) pipelinetest.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	return pipelinetest.Do(ctx, script, args...)
}

// rows are the JSON lines; anything else in stdout is an error.
func rows(t *testing.T, r pipelinetest.Result) []map[string]any {
	t.Helper()
	return pipelinetest.Lines[map[string]any](t, r.Stdout)
}

// withoutFFmpeg hides ffmpeg, not go: copies take no time to make.
func withoutFFmpeg(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go", "gcc", "cc"} {
		if path, err := exec.LookPath(name); err == nil {
			if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", dir)
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheReadmesCommand(t *testing.T) {
	r := local(t, sample)
	if r.Code != 0 || strings.Count(r.Stdout, "succeeded") != 3 || !strings.Contains(r.Stdout, "3 rows in") {
		t.Errorf("%d\n%s\n%s", r.Code, r.Stdout, r.Stderr)
	}
}

func TestRowsAsJSON(t *testing.T) {
	withoutFFmpeg(t)
	r := local(t, "-json", sample)
	if r.Code != 0 {
		t.Fatal(r)
	}
	if strings.Count(r.Stderr, "ffmpeg is not on PATH") != 1 {
		t.Errorf("it does not say once that the outputs are copies:\n%s", r.Stderr)
	}
	var jobs []string
	for _, row := range rows(t, r) {
		jobs = append(jobs, row["job"].(string))
		id, _ := row["sk"].(string)
		if row["pk"] != "uploads/sample.mov" || !strings.HasPrefix(id, "task#job_") || row["state"] != "succeeded" || row["status"] != "completed" ||
			row["rank"] != 4.0 || row["input"] != "s3://my-media-bucket/uploads/sample.mov" || row["open"] != nil {
			t.Errorf("row %v", row)
		}
	}
	if !slices.Equal(jobs, []string{"video", "thumbnail", "audio"}) {
		t.Errorf("jobs %v", jobs)
	}
}

func TestKeysAreTakenAsTheyAre(t *testing.T) {
	withoutFFmpeg(t)
	for _, key := range []string{"uploads/a b+c%41#?&'\"😀\u200f//../x.MOV", "uploads/" + strings.Repeat("k", 980) + ".Mp4"} {
		r := local(t, "-json", "-key", key, sample)
		all := rows(t, r)
		if r.Code != 0 || len(all) != 3 {
			t.Fatalf("%d and %d rows", r.Code, len(all))
		}
		for _, row := range all {
			if row["pk"] != key || row["input"] != "s3://my-media-bucket/"+key {
				t.Errorf("%q became %v", key, row["pk"])
			}
		}
	}
}

func TestWhatIsNotPickedUpFailsWithItsReason(t *testing.T) {
	withoutFFmpeg(t)
	for _, tt := range []struct{ key, content, says string }{
		{"uploads/x.txt", "x", "not matched"},
		{"uploads/x.mp4.part", "x", "not matched"},
		{"uploads/folder/", "", "not matched"},
		{"uploads/empty.mov", "", "skipped: 0 bytes"},
		{"elsewhere/x.mov", "x", "skipped: no route"},
		{"ittybit-output/x.mov", "x", "skipped: output folder"},
	} {
		r := local(t, "-key", tt.key, write(t, "file", tt.content))
		if r.Code != 1 || !strings.Contains(r.Stdout, tt.says) || !strings.Contains(r.Stderr, "1 of 1 files did not get all of their results") {
			t.Errorf("%s: %d\n%s\n%s", tt.key, r.Code, r.Stdout, r.Stderr)
		}
	}
}

func TestSeveralFiles(t *testing.T) {
	withoutFFmpeg(t)
	r := local(t, "-json", write(t, "a.mov", "x"), write(t, "b.mp4", "x"), write(t, "c.txt", "x"))
	if r.Code != 1 || len(rows(t, r)) != 6 {
		t.Error(r)
	}
}

func TestABucketWhoseNotificationsAreNotManaged(t *testing.T) {
	withoutFFmpeg(t)
	file := write(t, "there.yaml", "config:\n  ittybit-media:bucketName: an-existing-bucket\n  ittybit-media:manageNotifications: false\n")
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	there, err := filepath.Rel(root, strings.TrimSuffix(file, ".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r := local(t, "-stack", "/../"+there, sample) // from Pulumi.STACK.yaml in the root
	if r.Code != 0 || !strings.Contains(r.Stderr, "somebody has to turn EventBridge on") {
		t.Error(r)
	}
	if r := local(t, sample); strings.Contains(r.Stderr, "EventBridge") {
		t.Errorf("a stack that makes its bucket says %s", r.Stderr)
	}
}

func TestACorruptFileFails(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("without ffmpeg nothing looks into a file")
	}
	r := local(t, "-json", write(t, "corrupt.mov", "this is no video"))
	all := rows(t, r)
	if r.Code != 1 || len(all) != 3 {
		t.Fatal(r)
	}
	for _, row := range all {
		if row["state"] != "failed" || row["error"] == nil {
			t.Errorf("row %v", row)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	pipelinetest.WantUsage(t, script, map[string]string{
		"-nonsense":                       "-nonsense",
		"-key k":                          "-key names the object",
		"-key k " + sample + " " + sample: "there are 2",
		"-key " + strings.Repeat("k", 1025) + " " + sample: "1025 bytes",
		"-timeout 0s":              "not above 0",
		"-timeout soon":            `invalid value "soon"`,
		"no-such-file":             "no-such-file",
		"testdata":                 "testdata is not a file",
		sample + " -json":          "flags go before",
		"-stack nowhere " + sample: "no stack file",
		"-stack nowhere":           "there are Pulumi.dev.yaml",
		sample + " " + write(t, "sample.mov", "x"): "would have the same key",
		"-chaos " + sample:                         "-chaos goes with",
		"-chaos -stack dev":                        "uploads and routes of its",
		"-chaos -uploads 0":                        "-uploads 0",
		"-seed 7 " + sample:                        "are for -chaos",
	})
}

func TestChaosReports(t *testing.T) {
	t.Parallel()
	r := local(t, "-chaos", "-uploads", "4", "-seed", "7", "-json")
	var report struct{ Seed, Uploads, Jobs, Doubled, Lost, Wrong, Forged int }
	if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil {
		t.Fatalf("%v in %+v", err, r)
	}
	if r.Code != 0 || report.Seed != 7 || report.Uploads != 4 || report.Jobs != 12 || report.Doubled+report.Lost+report.Wrong+report.Forged != 0 {
		t.Errorf("%d %+v", r.Code, report)
	}
}

func TestHelpTeaches(t *testing.T) {
	t.Parallel()
	r := local(t, "-h")
	if r.Code != 0 || !strings.Contains(r.Stderr, "go run ./scripts/local testdata/sample.mov") || !strings.Contains(r.Stderr, "-timeout") {
		t.Error(r)
	}
}

func TestItEndsInTime(t *testing.T) {
	withoutFFmpeg(t)
	r := local(t, "-timeout", "1ms", sample)
	if r.Code != 1 || !strings.Contains(r.Stderr, "not over after 1ms (-timeout): uploads/sample.mov") {
		t.Error(r)
	}
}

func TestATakenPortIsOneLine(t *testing.T) {
	withoutFFmpeg(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := local(t, "-addr", l.Addr().String())
	lines := strings.Split(strings.TrimSpace(r.Stderr), "\n")
	if last := lines[len(lines)-1]; r.Code != 1 || !strings.Contains(last, "the S3 endpoint cannot listen") || !strings.Contains(last, l.Addr().String()) {
		t.Error(r)
	}
}

func TestKeepSaysWhere(t *testing.T) {
	withoutFFmpeg(t)
	r := local(t, "-keep", sample)
	_, dir, ok := strings.Cut(r.Stderr, "kept in ")
	dir = strings.TrimSpace(dir)
	if r.Code != 0 || !ok {
		t.Fatal(r)
	}
	defer os.RemoveAll(dir)
	outputs, err := filepath.Glob(filepath.Join(dir, "outputs", "*", "sample.*"))
	if err != nil || len(outputs) != 2 { // the audio is in the bucket
		t.Errorf("outputs %v, %v", outputs, err)
	}
}

// served is the command, serving in a process of its own.
type served struct {
	*exec.Cmd
	temp  string
	lines *bufio.Scanner
	info  map[string]string
	curl  string
}

func serving(t *testing.T) *served {
	t.Helper()
	s := &served{Cmd: exec.Command(os.Args[0]), temp: t.TempDir(), info: map[string]string{}}
	s.Env = append(os.Environ(), "LOCAL_TEST_COMMAND=1", "TMPDIR="+s.temp)
	s.Dir = filepath.Join("scripts", "local") // TestMain goes to the root from here
	s.Stderr = os.Stderr
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Process.Kill() })
	s.lines = bufio.NewScanner(out)
	var text strings.Builder
	for s.lines.Scan() {
		line := s.lines.Text()
		fmt.Fprintln(&text, line)
		for _, name := range []string{"S3 endpoint", "Bucket", "Access key", "Secret key"} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				s.info[name] = strings.Fields(rest)[0]
			}
		}
		if strings.HasPrefix(line, "Ctrl-C") {
			break
		}
	}
	if m := regexp.MustCompile(`(?s)curl .*?\n\n`).FindString(text.String()); m != "" {
		s.curl = m
	}
	if len(s.info) != 4 || s.curl == "" {
		t.Fatalf("it prints\n%s", &text)
	}
	return s
}

// children are the processes that a process has started, by /proc.
func children(t *testing.T, pid int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Skip("there is no /proc to look for processes in")
	}
	var found []int
	for _, stat := range stats {
		data, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		var child, parent int
		var state string
		after := data[bytes.LastIndexByte(data, ')')+1:]
		if _, err := fmt.Sscan(string(data), &child); err != nil {
			continue
		}
		if _, err := fmt.Sscan(string(after), &state, &parent); err == nil && parent == pid {
			found = append(found, child)
		}
	}
	return found
}

func TestServing(t *testing.T) {
	s := serving(t)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not on PATH")
	}
	upload := exec.Command("sh", "-c", s.curl)
	if out, err := upload.CombinedOutput(); err != nil {
		t.Fatalf("the printed line %s: %v\n%s", s.curl, err, out)
	}
	stored := 0
	for stored < 3 && s.lines.Scan() {
		if strings.Contains(s.lines.Text(), "result stored") && strings.Contains(s.lines.Text(), "state=succeeded") {
			stored++
		}
	}
	found, err := access.Read(access.File("."))
	if err != nil || found.PID != s.Process.Pid || found.S3URL != s.info["S3 endpoint"] || found.SecretKey != s.info["Secret key"] {
		t.Errorf("the scripts find %+v, %v", found, err)
	}
	kids := children(t, s.Process.Pid)
	if stored != 3 || len(kids) < 2 {
		t.Fatalf("%d results, processes %v", stored, kids)
	}
	if err := s.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for s.lines.Scan() { // what it still had to say
	}
	if err := s.Wait(); err != nil {
		t.Errorf("Ctrl-C ends it with %v", err)
	}
	if _, err := access.Read(access.File(".")); !errors.Is(err, access.ErrNone) {
		t.Errorf("the scripts still find it: %v", err)
	}
	for _, pid := range kids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d outlives it", pid)
		}
	}
	if left, err := os.ReadDir(s.temp); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}
