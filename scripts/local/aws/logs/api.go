package logs

import (
	"context"
	"slices"
	"strconv"

	"ittybit-media/scripts/local/aws/endpoint"
)

// scanned is how many lines one call looks at, and so the most events that it
// answers with. As in the real service, an answer with few events or none may
// have a token for the rest (Amazon CloudWatch Logs API Reference,
// "FilterLogEvents").
const scanned = 10000

// stream is the one log stream that a local group has.
const stream = "local"

// API is CloudWatch Logs' API in front of the groups.
func (g *Groups) API() endpoint.Service {
	return endpoint.Service{
		Name:       endpoint.ServiceLogs,
		Find:       endpoint.Target("Logs_20140328"),
		Operations: map[string]endpoint.Operation{"FilterLogEvents": endpoint.JSON(g.filter)},
	}
}

type filterInput struct {
	LogGroupName  string
	FilterPattern string
	StartTime     int64 // Unix milliseconds, included
	NextToken     string
}

type event struct {
	EventID       string `json:"eventId"`
	IngestionTime int64  `json:"ingestionTime"`
	LogStreamName string `json:"logStreamName"`
	Message       string `json:"message"`
	Timestamp     int64  `json:"timestamp"`
}

type filterOutput struct {
	Events             []event `json:"events"`
	SearchedLogStreams []any   `json:"searchedLogStreams"` // no longer filled
	NextToken          string  `json:"nextToken,omitempty"`
}

func invalid(message string) error {
	return &endpoint.Fault{Type: "InvalidParameterException", Message: message}
}

func (g *Groups) filter(_ context.Context, in filterInput) (any, error) {
	matches, err := compile(in.FilterPattern)
	if err != nil {
		return nil, invalid("Invalid filter pattern: " + err.Error())
	}
	from := 0
	if in.NextToken != "" {
		if from, err = strconv.Atoi(in.NextToken); err != nil || from < 0 {
			return nil, invalid("The specified nextToken is invalid.")
		}
	}
	lines, err := g.after(in.LogGroupName, from)
	if err != nil {
		return nil, err
	}
	out := filterOutput{Events: []event{}, SearchedLogStreams: []any{}}
	for i, l := range lines {
		if i == scanned {
			out.NextToken = strconv.Itoa(l.number)
			break
		}
		at := l.at.UnixMilli()
		if at < in.StartTime || !matches(l.text) {
			continue
		}
		out.Events = append(out.Events, event{EventID: strconv.Itoa(l.number), IngestionTime: at, LogStreamName: stream, Message: l.text, Timestamp: at})
	}
	return out, nil
}

// after are a group's lines from the one with that number on.
func (g *Groups) after(name string, number int) ([]line, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	found := g.groups[name]
	if found == nil {
		return nil, &endpoint.Fault{Type: "ResourceNotFoundException", Message: "The specified log group does not exist."}
	}
	skip := min(max(number-found.first, 0), len(found.lines))
	return slices.Clone(found.lines[skip:]), nil
}
