package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/internal/cli"
)

// logged are the functions that log about uploads.
var logged = []string{"dispatch", "webhook", "sweep"}

// mostLines is how many lines of each function are kept: the latest ones.
const mostLines = 200

// logLine is one line that a function logged about a key.
type logLine struct {
	Key      string          `json:"pk"`
	Function string          `json:"function"`
	Time     time.Time       `json:"time"`
	Line     json.RawMessage `json:"line"`
}

// printLog prints what the functions logged about a key, in order.
func (j *jobs) printLog(ctx context.Context, key string) error {
	found := make([][]logLine, len(logged))
	omitted := make([]int, len(logged))
	errs := make([]error, len(logged))
	var group errgroup.Group
	for i, function := range logged {
		group.Go(func() error {
			found[i], omitted[i], errs[i] = j.logLines(ctx, function, key)
			return nil // one log that cannot be read does not hide the others
		})
	}
	_ = group.Wait()
	all := slices.Concat(found...)
	slices.SortStableFunc(all, func(a, b logLine) int { return a.Time.Compare(b.Time) })
	if j.JSON {
		for _, line := range all {
			errs = append(errs, j.PrintJSON(line))
		}
		return errors.Join(errs...)
	}
	fmt.Fprintf(j.Out, "\nlogged in the last %s:\n", cli.Roughly(j.since))
	for i, n := range omitted {
		if n > 0 {
			fmt.Fprintf(j.Out, "  (%s of %s before these are left out)\n", cli.Count(n, "line"), logged[i])
		}
	}
	for _, line := range all {
		fmt.Fprintf(j.Out, "  %s\n", cli.Printable(line.text()))
	}
	if err := errors.Join(errs...); len(all) > 0 || err != nil {
		return err
	}
	fmt.Fprintln(j.Out, "  nothing; -since looks further back")
	return nil
}

// logLines reads a function's lines about a key, the latest ones, and says how
// many there are before these.
func (j *jobs) logLines(ctx context.Context, function, key string) (lines []logLine, omitted int, err error) {
	err = j.stack.EachLogLine(ctx, function, "key", key, j.Now().Add(-j.since), func(at time.Time, text []byte) {
		var about struct{ Bucket string }
		if json.Unmarshal(text, &about) != nil || about.Bucket != j.stack.Outputs.Bucket {
			return
		}
		lines = append(lines, logLine{key, function, at, text})
		if len(lines) > mostLines {
			lines = lines[1:]
			omitted++
		}
	})
	return lines, omitted, err
}

// text is the line for people.
func (l logLine) text() string {
	var fields map[string]any
	_ = json.Unmarshal(l.Line, &fields) // it was read before
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-8s ", l.Time.Format("2006-01-02 15:04:05.000"), l.Function)
	if level, _ := fields["level"].(string); level != "INFO" {
		fmt.Fprintf(&b, "%s ", level)
	}
	fmt.Fprint(&b, fields["message"])
	for _, name := range []string{"timestamp", "level", "message", "requestId", "bucket", "key"} {
		delete(fields, name)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, " %s=%v", name, fields[name])
	}
	return media.Redact(b.String())
}
