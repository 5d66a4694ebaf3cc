// Package telemetry writes what the functions tell their operator: log lines in
// JSON and metrics in CloudWatch's embedded metric format, both to standard
// output, from where Lambda takes them.
package telemetry

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// NewLogger logs as Lambda formats its own lines, with the request id of the
// invocation in the context, from the given level up.
func NewLogger(level slog.Level) *slog.Logger {
	return slog.New(leveled{lambdacontext.NewLogHandler(), level})
}

// leveled puts LOG_LEVEL in the place of the level that Lambda itself filters
// by: at a higher one there, Lambda would drop the metrics too.
type leveled struct {
	slog.Handler
	level slog.Level
}

func (h leveled) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.level}
}

func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.level}
}
