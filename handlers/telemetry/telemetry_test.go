package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"ittybit-media/handlers/telemetry"
)

// TestMain is also the function that logs: aws-lambda-go reads the log format
// when the process starts, and writes to standard output.
func TestMain(m *testing.M) {
	if os.Getenv("TELEMETRY_TEST") != "log" {
		m.Run()
		return
	}
	ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: "r-1"})
	log := telemetry.NewLogger(slog.LevelWarn).With("bucket", "b").WithGroup("g")
	log.InfoContext(ctx, "quiet")
	log.WarnContext(ctx, "loud", "key", "k")
	telemetry.NewLogger(slog.LevelDebug).DebugContext(ctx, "whisper")
}

func process(t *testing.T) ([]map[string]any, error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TELEMETRY_TEST=log", "AWS_LAMBDA_LOG_FORMAT=JSON", "AWS_LAMBDA_LOG_LEVEL=INFO")
	out, err := cmd.Output()
	var lines []map[string]any
	for line := range strings.Lines(string(out)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		lines = append(lines, m)
	}
	return lines, err
}

func TestLogger(t *testing.T) {
	t.Parallel()
	lines, err := process(t)
	if err != nil || len(lines) != 2 {
		t.Fatalf("%v, %v", err, lines)
	}
	loud, whisper := lines[0], lines[1]
	group, _ := loud["g"].(map[string]any)
	if loud["message"] != "loud" || loud["level"] != "WARN" || loud["bucket"] != "b" || group["key"] != "k" || loud["timestamp"] == nil {
		t.Errorf("got %v", loud)
	}
	if whisper["message"] != "whisper" || whisper["requestId"] != "r-1" {
		t.Errorf("Lambda's own level keeps LOG_LEVEL from being lower, or the request id is missing: %v", whisper)
	}
}

// writes counts the writes: a line in several may be mixed with another one's.
type writes struct {
	bytes.Buffer
	n int
}

func (w *writes) Write(p []byte) (int, error) {
	w.n++
	return w.Buffer.Write(p)
}

func TestMetricsAreInTheEmbeddedFormat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		metric     telemetry.Metric
		value      float64
		dimension  string
		dimensions string
	}{
		{metric: telemetry.JobsCreated, value: 3, dimensions: `[[]]`},
		{metric: telemetry.UploadsSkipped, value: 1, dimension: "no route", dimensions: `[[],["Reason"]]`},
		{metric: telemetry.UploadToResult, value: 12.5, dimensions: `[[]]`},
	} {
		var out writes
		before := time.Now().UnixMilli()
		telemetry.NewMetrics(&out, "Mine").Add(tt.metric, tt.value, tt.dimension)
		if out.n != 1 || !strings.HasSuffix(out.String(), "}\n") {
			t.Errorf("%s: %d writes of %q", tt.metric.Name, out.n, out.String())
		}
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line[tt.metric.Name] != tt.value {
			t.Errorf("%s is %v", tt.metric.Name, line[tt.metric.Name])
		}
		if tt.metric.Dimension != "" && line[tt.metric.Dimension] != tt.dimension {
			t.Errorf("%s: %s is %v", tt.metric.Name, tt.metric.Dimension, line[tt.metric.Dimension])
		}
		aws := line["_aws"].(map[string]any)
		if at := int64(aws["Timestamp"].(float64)); at < before || at > time.Now().UnixMilli() {
			t.Errorf("timestamp %d", at)
		}
		got, err := json.Marshal(aws["CloudWatchMetrics"])
		if err != nil {
			t.Fatal(err)
		}
		want := `[{"Dimensions":` + tt.dimensions + `,"Metrics":[{"Name":"` + tt.metric.Name + `","Unit":"` + tt.metric.Unit + `"}],"Namespace":"Mine"}]`
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestEveryMetricIsDefinedOnce(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range telemetry.All() {
		if names[m.Name] || m.Name == "" || m.Unit == "" {
			t.Errorf("%+v", m)
		}
		names[m.Name] = true
	}
	for _, m := range []telemetry.Metric{telemetry.UploadsDispatched, telemetry.SweepBehind} {
		if !names[m.Name] {
			t.Errorf("%s is not among all", m.Name)
		}
	}
}
