package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// EachLogLine gives, one after the other, the lines that a function has logged
// since then and whose field has that text, with their times. It reads page
// after page and keeps none.
func (s *Stack) EachLogLine(ctx context.Context, function, field, text string, since time.Time, give func(at time.Time, line []byte)) error {
	group := s.Outputs.LogGroups[function]
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(s.Logs(), &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName:  &group,
		FilterPattern: aws.String(logPattern(field, text)),
		StartTime:     aws.Int64(since.UnixMilli()),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("reading the log %s: %w", group, err)
		}
		for _, event := range page.Events {
			line := []byte(strings.TrimSpace(aws.ToString(event.Message)))
			var fields map[string]any
			if json.Unmarshal(line, &fields) == nil && fields[field] == text { // the pattern cannot say everything
				give(time.UnixMilli(aws.ToInt64(event.Timestamp)).UTC(), line)
			}
		}
	}
	return nil
}

// maxPatternText is how much of a text goes into a pattern, in bytes: patterns
// have 1,024 characters at most (Amazon CloudWatch Logs API Reference,
// "FilterLogEvents").
const maxPatternText = 900

// logPattern finds the lines whose field has a text, and maybe some others.
// Quotes and backslashes cannot be said in it for certain, nor asterisks, which
// stand for any text ("Filter pattern syntax", Amazon CloudWatch Logs User
// Guide): it ends before the first of them.
func logPattern(field, text string) string {
	more := ""
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || strings.ContainsRune("\"\\*\x7f", r) }); i >= 0 {
		text, more = text[:i], "*"
	}
	if len(text) > maxPatternText {
		text, more = strings.ToValidUTF8(text[:maxPatternText], ""), "*"
	}
	return fmt.Sprintf(`{ $.%s = "%s%s" }`, field, text, more)
}
