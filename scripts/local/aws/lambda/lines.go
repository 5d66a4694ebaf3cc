package lambda

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

const (
	maxLineBytes = 256 << 10 // longer lines are cut: a process may never end its line
	tailLines    = 5
	tailBytes    = 1 << 10 // of each of these
)

// lineLog lets processes write lines without mixing them.
type lineLog struct {
	mu sync.Mutex
	w  io.Writer
}

// write drops what cannot be written: a full disk must not stop a function.
func (l *lineLog) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.w.Write(line)
}

// output is what one process writes. It passes whole lines on and remembers the
// last few. One goroutine at a time may use it.
type output struct {
	log     *lineLog
	partial []byte
	tail    []string
}

func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		o.partial = append(o.partial, line...)
		if !ended {
			break
		}
		o.flush()
		p = rest
	}
	if len(o.partial) > maxLineBytes {
		o.flush()
	}
	return n, nil
}

// flush ends the line.
func (o *output) flush() {
	if len(o.partial) == 0 {
		return
	}
	if len(o.tail) == tailLines {
		o.tail = append(o.tail[:0], o.tail[1:]...)
	}
	o.tail = append(o.tail, strings.ToValidUTF8(string(o.partial[:min(len(o.partial), tailBytes)]), ""))
	o.log.write(append(o.partial, '\n'))
	o.partial = o.partial[:0]
}

// last is what the process said last, on one line.
func (o *output) last() string { return strings.Join(o.tail, "; ") }
