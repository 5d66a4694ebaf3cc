package logs

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"ittybit-media/scripts/local/aws/endpoint"
)

// maxEvents is how many events an answer has at most, and has if nothing else
// is said (Amazon CloudWatch Logs API Reference, "FilterLogEvents").
const maxEvents = 10000

// scanned is how many lines one call looks at. As in the real service, an
// answer with few events or none may have a token for the rest.
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
	LogGroupName, LogGroupIdentifier string // the second is a name or an ARN
	FilterPattern                    string
	StartTime, EndTime               *int64 // Unix milliseconds, both included
	Limit                            *int
	NextToken                        string
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
	if (in.LogGroupName == "") == (in.LogGroupIdentifier == "") {
		return nil, invalid("either logGroupName or logGroupIdentifier must be given")
	}
	limit := maxEvents
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > maxEvents {
		return nil, invalid("limit is not within 1 and " + strconv.Itoa(maxEvents))
	}
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
	lines, err := g.after(in.LogGroupName+in.LogGroupIdentifier, from)
	if err != nil {
		return nil, err
	}
	out := filterOutput{Events: []event{}, SearchedLogStreams: []any{}}
	for i, l := range lines {
		if len(out.Events) == limit || i == scanned {
			out.NextToken = strconv.Itoa(l.number)
			break
		}
		at := l.at.UnixMilli()
		if in.StartTime != nil && at < *in.StartTime || in.EndTime != nil && at > *in.EndTime || !matches(l.text) {
			continue
		}
		out.Events = append(out.Events, event{EventID: strconv.Itoa(l.number), IngestionTime: at, LogStreamName: stream, Message: l.text, Timestamp: at})
	}
	return out, nil
}

// after are a group's lines from the one with that number on.
func (g *Groups) after(id string, number int) ([]line, error) {
	_, name, isARN := strings.Cut(id, ":log-group:")
	if !isARN {
		name = id
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	found := g.groups[name]
	if found == nil {
		return nil, &endpoint.Fault{Type: "ResourceNotFoundException", Message: "The specified log group does not exist."}
	}
	skip := min(max(number-found.first, 0), len(found.lines))
	return slices.Clone(found.lines[skip:]), nil
}
