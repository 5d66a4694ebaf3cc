// Package stack is the configuration of one environment: what stands in its
// stack file, typed, with defaults, and checked as a whole. The Pulumi program
// and the local run both read it, so it imports no Pulumi package.
package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"ittybit-media/handlers/env"
	"ittybit-media/handlers/media"
)

// Namespace is the namespace of the configuration's keys.
const Namespace = "ittybit-media"

// Config is the configuration of one stack.
type Config struct {
	BucketName          string // "": one is made
	Routes              media.Routes
	ConnectionID        string // "": Ittybit's default connection
	ConnectionPlacement media.Placement
	OutputPrefix        string
	DailyJobLimit       int64 // 0: none
	OverdueAfter        time.Duration
	ResultTTLDays       int64 // 0: rows stay
	LogLevel            slog.Level
}

// Parse reads the values of the namespace's keys. The error is a
// [media.Problems] with every mistake; the warnings are what may be one.
func Parse(values map[string]any) (Config, media.Problems, error) {
	r := reader{values: values, asked: map[string]bool{}}
	c := Config{
		BucketName:          r.text("bucketName", ""),
		ConnectionID:        r.text("connectionId", ""),
		ConnectionPlacement: media.Placement(r.word("connectionPlacement", string(media.PlacementOptions), string(media.PlacementRoot))),
		OutputPrefix:        r.text("outputPrefix", env.DefaultOutputPrefix),
		DailyJobLimit:       r.count("dailyJobLimit", 0),
		OverdueAfter:        r.duration("overdueAfter", env.DefaultOverdueAfter),
		ResultTTLDays:       r.count("resultTtlDays", 0),
	}
	if err := c.LogLevel.UnmarshalText([]byte(r.word("logLevel", "info", "debug", "warn", "error"))); err != nil {
		r.mistakes.Addf("logLevel", "%v", err)
	}
	if d := c.ResultTTLDays; d != 0 && d < env.MinResultTTLDays {
		r.mistakes.Addf("resultTtlDays", "%d is neither 0 (rows stay) nor at least %d", d, env.MinResultTTLDays)
	}
	outputs := media.Folder{Bucket: c.BucketName, Prefix: c.OutputPrefix}
	if err := outputs.Check(); err != nil {
		r.mistakes.Addf("outputPrefix", "%v", err)
		outputs.Prefix = "" // the routes are not to be blamed for it
	}
	c.Routes = r.routes(outputs)
	if c.Routes != nil {
		if _, err := media.EventPattern(c.BucketName, c.Routes); err != nil {
			r.mistakes.Addf("routes", "%v", err)
		}
	}
	r.unknown()
	return c, r.warnings, r.mistakes.Err()
}

// ReadFile returns the values of the namespace's keys in a stack file.
func ReadFile(path string) (map[string]any, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no stack file %s%s", path, others(path))
	} else if err != nil {
		return nil, err
	}
	var file struct {
		Config map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%s is not a stack file: %w", path, err)
	}
	values := map[string]any{}
	for name, value := range file.Config {
		if key, ok := strings.CutPrefix(name, Namespace+":"); ok {
			values[key] = value
		}
	}
	return values, nil
}

// others names the stack files that there are.
func others(path string) string {
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "Pulumi.*.yaml"))
	if len(found) == 0 {
		return ""
	}
	for i, f := range found {
		found[i] = filepath.Base(f)
	}
	return "; there are " + strings.Join(found, ", ")
}

// reader goes on after a mistake, so that one run reports all of them.
type reader struct {
	values   map[string]any
	asked    map[string]bool
	mistakes media.Problems
	warnings media.Problems
}

func (r *reader) value(key string) any {
	r.asked[key] = true
	return r.values[key]
}

func (r *reader) text(key, otherwise string) string {
	switch v := r.value(key).(type) {
	case nil:
		return otherwise
	case string:
		return v
	case int, float64, bool: // YAML took a bare word for something else
		return fmt.Sprint(v)
	default:
		r.mistakes.Addf(key, "must be a text")
		return otherwise
	}
}

// word reads one of the words; the first one is the default.
func (r *reader) word(key string, words ...string) string {
	v := r.text(key, words[0])
	if !slices.Contains(words, v) {
		r.mistakes.Addf(key, "%q is not one of %s", v, strings.Join(words, ", "))
		return words[0]
	}
	return v
}

func (r *reader) count(key string, otherwise int64) int64 {
	if r.value(key) == nil {
		return otherwise
	}
	text := r.text(key, "")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		r.mistakes.Addf(key, "%q is not a whole number, 0 or more", text)
		return otherwise
	}
	return n
}

func (r *reader) duration(key string, otherwise time.Duration) time.Duration {
	if r.value(key) == nil {
		return otherwise
	}
	text := r.text(key, "")
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		r.mistakes.Addf(key, `%q is not a time above 0 such as "30m" or "168h"`, text)
		return otherwise
	}
	return d
}

func (r *reader) routes(outputs media.Folder) media.Routes {
	value := r.value("routes")
	if value == nil {
		return media.DefaultRoutes()
	}
	data, err := json.Marshal(value)
	if err != nil {
		r.mistakes.Addf("routes", "has something that JSON cannot say: %v", err)
		return nil
	}
	routes, warnings, err := media.ParseRoutes(data, outputs)
	r.warnings = append(r.warnings, warnings...)
	if problems, ok := errors.AsType[media.Problems](err); ok {
		r.mistakes = append(r.mistakes, problems...)
	}
	return routes
}

func (r *reader) unknown() {
	known := slices.Sorted(maps.Keys(r.asked))
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		if r.asked[key] {
			continue
		}
		if near := media.Nearest(key, known); near != "" {
			r.mistakes.Addf(key, "is not known; did you mean %s?", near)
		} else {
			r.mistakes.Addf(key, "is not known; there are %s", strings.Join(known, ", "))
		}
	}
}
