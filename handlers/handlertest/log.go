package handlertest

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"ittybit-media/handlers/telemetry"
)

// Log collects what a function writes: log lines and metrics, a JSON object
// each. Many goroutines may use it at once.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write collects p.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns all that was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Logger logs into l, whatever the level.
func (l *Log) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Metrics writes metrics into l.
func (l *Log) Metrics() *telemetry.Metrics { return telemetry.NewMetrics(l, "Test") }

// With returns the lines that have the field, those of a metric for its name.
func (l *Log) With(t testing.TB, field string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for d := json.NewDecoder(strings.NewReader(l.String())); ; {
		var line map[string]any
		switch err := d.Decode(&line); err {
		case nil:
			if _, ok := line[field]; ok {
				found = append(found, line)
			}
		case io.EOF:
			return found
		default:
			t.Fatalf("not a line of JSON: %v in %s", err, l)
		}
	}
}

// Said returns the lines with that message.
func (l *Log) Said(t testing.TB, message string) []map[string]any {
	t.Helper()
	return slices.DeleteFunc(l.With(t, "msg"), func(line map[string]any) bool { return line["msg"] != message })
}

// WantCounted compares a metric's sums by the value of its dimension, "" when it
// has none.
func (l *Log) WantCounted(t testing.TB, m telemetry.Metric, want map[string]float64) {
	t.Helper()
	got := map[string]float64{}
	for _, line := range l.With(t, m.Name) {
		dimension, _ := line[m.Dimension].(string)
		got[dimension] += line[m.Name].(float64)
	}
	if !maps.Equal(got, want) {
		t.Errorf("metric %s counted %v, want %v", m.Name, got, want)
	}
}

// Keeps fails the test if any of the secrets was written.
func (l *Log) Keeps(t testing.TB, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(l.String(), secret) {
			t.Errorf("it gives away %q:\n%s", secret, l)
		}
	}
}
