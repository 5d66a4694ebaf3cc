package main

import (
	"context"
	"encoding/json"
	"time"
)

// line is what smoke reads of a line that a function logged.
type line struct {
	at time.Time // by the clock of the log

	Level  string `json:"level"`
	Error  string `json:"error"`
	Reason string `json:"reason"` // of what was skipped or refused
	ID     string `json:"id"`     // of a job at Ittybit
	State  string `json:"state"`  // that a job's row got
	Signed *bool  `json:"signed"` // of a callback

	FromQueue bool `json:"from_queue"`
}

// trouble reports whether dispatch logged it for an upload that has to come
// again.
func (l line) trouble() bool { return l.Level == "ERROR" || l.Level == "WARN" }

// skew is how far this machine's clock may be ahead of the log's.
const skew = 5 * time.Minute

// eachLine gives the lines of a function since the run began in which a field
// has that value. A log that cannot be read is noted, and false is returned: it
// explains, and decides nothing.
func (s *smoke) eachLine(ctx context.Context, function, field, value string, give func(line)) (readable bool) {
	err := s.stack.EachLogLine(ctx, function, field, value, s.began.Add(-skew), func(at time.Time, text []byte) {
		l := line{at: at}
		if json.Unmarshal(text, &l) == nil {
			give(l)
		}
	})
	if err != nil && ctx.Err() == nil {
		s.note("log of "+function, "the log of %s cannot be read, so that less can be told: %v", function, err)
	}
	return err == nil
}

// aboutUpload are the lines of a function about the upload.
func (s *smoke) aboutUpload(ctx context.Context, function string) (lines []line, readable bool) {
	readable = s.eachLine(ctx, function, "key", s.key, func(l line) { lines = append(lines, l) })
	return lines, readable
}
