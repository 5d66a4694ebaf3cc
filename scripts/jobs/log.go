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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"golang.org/x/sync/errgroup"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/operator"
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
	fmt.Fprintf(j.Out, "\nlogged in the last %s:\n", operator.Roughly(j.since))
	for i, n := range omitted {
		if n > 0 {
			fmt.Fprintf(j.Out, "  (%s of %s before these are left out)\n", operator.Count(n, "line"), logged[i])
		}
	}
	for _, line := range all {
		fmt.Fprintf(j.Out, "  %s\n", operator.Printable(line.text()))
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
	group := j.stack.Outputs.LogGroups[function]
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(j.stack.Logs(), &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName:  &group,
		FilterPattern: aws.String(pattern(key)),
		StartTime:     aws.Int64(operator.Now(ctx).Add(-j.since).UnixMilli()),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return lines, omitted, fmt.Errorf("reading the log %s: %w", group, err)
		}
		for _, event := range page.Events {
			text := aws.ToString(event.Message)
			var about struct{ Bucket, Key string }
			if json.Unmarshal([]byte(text), &about) != nil || about.Key != key || about.Bucket != j.stack.Outputs.Bucket {
				continue // the pattern cannot say everything
			}
			lines = append(lines, logLine{key, function, time.UnixMilli(aws.ToInt64(event.Timestamp)).UTC(), json.RawMessage(strings.TrimSpace(text))})
			if len(lines) > mostLines {
				lines = lines[1:]
				omitted++
			}
		}
	}
	return lines, omitted, nil
}

// maxPatternKey is how much of a key goes into a pattern, in bytes: patterns have
// 1,024 characters at most (Amazon CloudWatch Logs API Reference,
// "FilterLogEvents").
const maxPatternKey = 900

// pattern finds the lines about a key, and maybe some about others. Quotes and
// backslashes cannot be said in it for certain, nor asterisks, which stand for
// any text ("Filter pattern syntax", Amazon CloudWatch Logs User Guide): it ends
// before the first of them.
func pattern(key string) string {
	text, more := key, ""
	if i := strings.IndexFunc(key, func(r rune) bool { return r < ' ' || strings.ContainsRune("\"\\*\x7f", r) }); i >= 0 {
		text, more = key[:i], "*"
	}
	if len(text) > maxPatternKey {
		text, more = strings.ToValidUTF8(text[:maxPatternKey], ""), "*"
	}
	return fmt.Sprintf(`{ $.key = "%s%s" }`, text, more)
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
