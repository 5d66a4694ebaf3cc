package stack_test

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/infra/stack"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, warnings, err := stack.Parse(nil)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	want := stack.Config{
		Routes:              media.DefaultRoutes(),
		ConnectionPlacement: media.PlacementOptions,
		OutputPrefix:        "ittybit-output/",
		OverdueAfter:        30 * time.Minute,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheStackFilesOfTheProject(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../Pulumi.*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no stack file", err)
	}
	for _, file := range files {
		values, err := stack.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, warnings, err := stack.Parse(values)
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", file, err, warnings)
		}
		if c.DailyJobLimit == 0 || len(c.Routes) == 0 {
			t.Errorf("%s: %+v", file, c)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "secure:") || strings.Contains(string(data), "encryptionsalt") {
			t.Errorf("%s has ciphertext: a copy of it could not be read", file)
		}
	}
}

func TestValuesAsPulumiWritesThem(t *testing.T) {
	t.Parallel()
	c, _, err := stack.Parse(map[string]any{
		"bucketName":          "my-media-bucket",
		"connectionId":        12345, // YAML takes a bare number for one
		"connectionPlacement": "root",
		"outputPrefix":        "out/",
		"dailyJobLimit":       "1000", // `pulumi config set` writes text
		"overdueAfter":        "1h",
		"resultTtlDays":       90,
		"logLevel":            "warn",
		"routes":              []any{map[string]any{"suffixes": []any{".mov"}, "jobs": []any{map[string]any{"name": "v", "kind": "video", "options": map[string]any{"width": 640}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.BucketName != "my-media-bucket" || c.ConnectionID != "12345" || c.ConnectionPlacement != media.PlacementRoot || c.OutputPrefix != "out/" ||
		c.DailyJobLimit != 1000 || c.OverdueAfter != time.Hour || c.ResultTTLDays != 90 || c.LogLevel != slog.LevelWarn ||
		len(c.Routes) != 1 || c.Routes[0].Jobs[0].Name != "v" {
		t.Errorf("got %+v", c)
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	_, _, err := stack.Parse(map[string]any{
		"bucketname":          "b",
		"entirelyUnknownKey":  1,
		"connectionPlacement": "header",
		"outputPrefix":        "out",
		"dailyJobLimit":       "many",
		"overdueAfter":        "30",
		"resultTtlDays":       7,
		"logLevel":            "loud",
		"connectionId":        []any{"x"},
		"routes":              []any{map[string]any{"prefix": "out/x", "jobs": []any{map[string]any{"name": "v", "kind": "video", "options": map[string]any{"quality": 80}}}}},
	})
	problems, ok := errors.AsType[media.Problems](err)
	if !ok {
		t.Fatal(err)
	}
	want := map[string]string{
		"bucketname":                        "did you mean bucketName?",
		"entirelyUnknownKey":                "there are bucketName, connectionId",
		"connectionPlacement":               "options, root",
		"outputPrefix":                      `"out/"`,
		"dailyJobLimit":                     `"many" is not a whole number`,
		"overdueAfter":                      `"30m"`,
		"resultTtlDays":                     "at least 30",
		"logLevel":                          "info, debug, warn, error",
		"connectionId":                      "must be a text",
		"routes[0].jobs[0].options.quality": "80 is not one of very_low",
	}
	got := map[string]string{}
	for _, p := range problems {
		got[p.Path] = p.Text
	}
	for path, says := range want {
		if !strings.Contains(got[path], says) {
			t.Errorf("%s: %q does not say %q", path, got[path], says)
		}
		delete(got, path)
	}
	for path := range maps.Keys(got) {
		t.Errorf("%s: %s", path, got[path])
	}
}

func TestRoutesThatCannotBe(t *testing.T) {
	t.Parallel()
	var suffixes []any
	for i := range 60 {
		suffixes = append(suffixes, "."+strings.Repeat("x", i+1))
	}
	job := []any{map[string]any{"name": "v", "kind": "video"}}
	for name, tt := range map[string]struct {
		routes any
		says   string
	}{
		"a pattern too long":    {[]any{map[string]any{"suffixes": suffixes, "jobs": job}}, "EventBridge takes 2048"},
		"keys that are no text": {[]any{map[any]any{1: 2}}, "JSON cannot say"},
		"into the bucket":       {[]any{map[string]any{"jobs": []any{map[string]any{"name": "v", "kind": "video", "output": "s3://b/${key}"}}}}, "outputPrefix"},
	} {
		if _, _, err := stack.Parse(map[string]any{"bucketName": "b", "routes": tt.routes}); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	values, err := stack.ReadFile(write("Pulumi.dev.yaml", "config:\n  aws:region: us-east-1\n  ittybit-media:connectionId: conn_1\n"))
	if err != nil || !reflect.DeepEqual(values, map[string]any{"connectionId": "conn_1"}) {
		t.Errorf("got %v, %v", values, err)
	}
	if _, err := stack.ReadFile(write("Pulumi.bad.yaml", "config: [")); err == nil || !strings.Contains(err.Error(), "Pulumi.bad.yaml") {
		t.Errorf("broken: %v", err)
	}
	if _, err := stack.ReadFile(filepath.Join(dir, "Pulumi.prod.yaml")); err == nil || !strings.Contains(err.Error(), "there are Pulumi.bad.yaml, Pulumi.dev.yaml") {
		t.Errorf("missing: %v", err)
	}
	if _, err := stack.ReadFile(filepath.Join(t.TempDir(), "Pulumi.prod.yaml")); err == nil || strings.Contains(err.Error(), "there are Pulumi") {
		t.Errorf("alone: %v", err)
	}
}
