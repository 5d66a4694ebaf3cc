package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"ittybit-media/handlers/handlertest"
	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/access"
	"ittybit-media/scripts/local/aws/endpoint"
	"ittybit-media/scripts/local/aws/sqs"
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/pipelinetest"
)

// sizeOf is how many objects a test works with: some in every run of the tests,
// as many as BACKFILL_OBJECTS says where that is set.
func sizeOf(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("BACKFILL_OBJECTS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("BACKFILL_OBJECTS=%s is no number of objects", text)
	}
	return n
}

// imagined is an AWS that holds nothing: the bucket's objects are made up when
// they are listed, and what is sent is forgotten.
type imagined struct {
	objects int
	class   string // their storage class
	restore string // what else is listed of them
	sent    atomic.Int64
	moment  func() // called now and then
}

// ServeHTTP is the bucket.
func (i *imagined) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.moment()
	query := r.URL.Query()
	if query.Has("versioning") {
		_, _ = io.WriteString(w, `<VersioningConfiguration/>`)
		return
	}
	const most = 1000
	next := 0
	if after := query.Get("start-after"); after != "" {
		_, _ = fmt.Sscanf(after, "films/no %09d.mov", &next)
		next++
	}
	var page strings.Builder
	fmt.Fprintf(&page, "<ListBucketResult><IsTruncated>%t</IsTruncated>", next+most < i.objects)
	for n := next; n < min(next+most, i.objects); n++ {
		fmt.Fprintf(&page, `<Contents><Key>films/no+%09d.mov</Key><LastModified>2026-11-01T00:00:00.000Z</LastModified><ETag>"%032x"</ETag><Size>1000</Size><StorageClass>%s</StorageClass>%s</Contents>`, n, n, i.class, i.restore)
	}
	page.WriteString("</ListBucketResult>")
	_, _ = io.WriteString(w, page.String())
}

// start returns the file of a local run that stands for it.
func (i *imagined) start(t *testing.T) string {
	t.Helper()
	queue, err := sqs.New(clock.New(), sqs.Config{Name: "retry", ARN: "arn:aws:sqs:us-east-1:000000000000:retry"})
	if err != nil {
		t.Fatal(err)
	}
	aws := handlertest.New(t)
	bucket := httptest.NewServer(i)
	t.Cleanup(bucket.Close)
	aws.Mount(sqs.API(queue))
	aws.Mount(endpoint.Service{
		Name: endpoint.ServiceLambda,
		Find: func(r *http.Request, _ []byte) (string, bool) {
			return "Invoke", strings.HasSuffix(r.URL.Path, "/invocations")
		},
		Operations: map[string]endpoint.Operation{"Invoke": func(*endpoint.Request) (any, error) {
			if i.sent.Add(1)%1000 == 500 {
				i.moment()
			}
			return endpoint.Response{Status: http.StatusAccepted}, nil
		}},
	})
	settings, err := pipelinetest.Config(t, map[string]any{"dailyJobLimit": 0}).Settings()
	if err != nil {
		t.Fatal(err)
	}
	return pipelinetest.WriteAccess(t, access.Access{
		Outputs: stack.Outputs{
			Region: "us-east-1", Bucket: "imagined", Table: handlertest.TableName, RetryQueueURL: queue.URL(aws.URL),
			Functions: map[string]string{"dispatch": "dispatch"}, Settings: settings,
		},
		AWSURL: aws.URL, S3URL: bucket.URL, AccessKey: "LOCAL", SecretKey: "a secret of the test", PID: os.Getpid(),
	})
}

// The heap is one for all tests, so this one does not run beside others.
func TestMemoryDoesNotGrowWithTheObjects(t *testing.T) {
	const bound = 1 << 20
	large := sizeOf(t, 4000)
	peak := func(objects int) uint64 {
		var most atomic.Uint64
		i := &imagined{objects: objects, class: "STANDARD", moment: func() {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapAlloc))
		}}
		args := []string{"-local=" + i.start(t), "-checkpoint=" + filepath.Join(t.TempDir(), "checkpoint.json"), "-rate=1e6", "-yes"}
		if got := pipelinetest.Do(t.Context(), script, args...); got.Code != cli.ExitOK || int(i.sent.Load()) != objects {
			t.Fatalf("%d sent: %+v", i.sent.Load(), got)
		}
		return most.Load()
	}
	peak(100) // so that clients and pools are there
	few, many := peak(large/8), peak(large)
	t.Logf("the heap: at most %d KiB with %d objects, %d KiB with %d", few>>10, large/8, many>>10, large)
	if many > few+bound {
		t.Errorf("the heap grows from %d to %d KiB", few>>10, many>>10)
	}
}

func TestArchivedObjectsAreLeftAlone(t *testing.T) {
	t.Parallel()
	const restored = `<RestoreStatus><IsRestoreInProgress>%t</IsRestoreInProgress>%s</RestoreStatus>`
	for name, tt := range map[string]struct {
		class, restore string
		sent           int64
	}{
		"at hand":          {"STANDARD_IA", "", 3},
		"archived at hand": {"GLACIER_IR", "", 3},
		"archived":         {"GLACIER", "", 0},
		"deep":             {"DEEP_ARCHIVE", "", 0},
		"being restored":   {"GLACIER", fmt.Sprintf(restored, true, ""), 0},
		"restored":         {"GLACIER", fmt.Sprintf(restored, false, "<RestoreExpiryDate>2026-12-24T00:00:00.000Z</RestoreExpiryDate>"), 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := &imagined{objects: 3, class: tt.class, restore: tt.restore, moment: func() {}}
			args := []string{"-local=" + i.start(t), "-checkpoint=" + filepath.Join(t.TempDir(), "checkpoint.json"), fast, "-yes", "-json"}
			r := readResult(t, pipelinetest.Do(t.Context(), script, args...), args)
			if r.Code != cli.ExitOK || i.sent.Load() != tt.sent || r.summary.Skipped[skipArchived] != 3-tt.sent {
				t.Errorf("%d: %d sent, %+v\n%s", r.Code, i.sent.Load(), r.summary, r.Stderr)
			}
			for n, key := range r.keys() {
				if want := fmt.Sprintf("films/no %09d.mov", n); key != want {
					t.Errorf("the key %q, want %q", key, want)
				}
			}
		})
	}
}
