// Package logs is an emulator of CloudWatch Logs: the latest lines of each log
// group, in memory, and the part of FilterLogEvents with which one looks for
// what happened to a key.
package logs

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// maxBytes bounds what is kept of a group; beyond it the oldest lines go.
const maxBytes = 8 << 20

// Groups are log groups. Their methods may be called by any goroutine. Make
// them with [New].
type Groups struct {
	now func() time.Time

	mu     sync.Mutex
	groups map[string]*group
}

// New makes groups whose lines get their times from now.
func New(now func() time.Time) *Groups { return &Groups{now: now, groups: map[string]*group{}} }

// group has the latest lines of a log group, the first written in front.
type group struct {
	lines []line
	first int // number of the first line that is still there
	bytes int
}

type line struct {
	number int // in the group, from 0
	at     time.Time
	text   string
}

// Writer makes a group, if there is none of that name, and returns what writes
// to it: each Write is a line.
func (g *Groups) Writer(name string) io.Writer {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.groups[name] == nil {
		g.groups[name] = &group{}
	}
	return writer{g, name}
}

type writer struct {
	groups *Groups
	name   string
}

func (w writer) Write(text []byte) (int, error) {
	w.groups.mu.Lock()
	defer w.groups.mu.Unlock()
	w.groups.groups[w.name].add(line{at: w.groups.now(), text: string(bytes.TrimRight(text, "\n"))})
	return len(text), nil
}

// lineBytes is about what a line takes beside its text.
const lineBytes = 64

func (g *group) add(l line) {
	l.number = g.first + len(g.lines)
	g.lines = append(g.lines, l)
	g.bytes += len(l.text) + lineBytes
	for g.bytes > maxBytes && len(g.lines) > 1 {
		g.bytes -= len(g.lines[0].text) + lineBytes
		g.lines[0] = line{} // or the array behind would keep it
		g.lines = g.lines[1:]
		g.first++
	}
}
