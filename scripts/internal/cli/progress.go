package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/term"
)

// How often progress shows: people see a line move, logs do not fill.
const (
	redraw = 200 * time.Millisecond
	relog  = 10 * time.Second
)

// Progress shows how far long work is, on standard error: lines drawn over and
// over on a terminal, a line now and then elsewhere. Its methods may be called
// by any goroutine.
type Progress struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	last  time.Time
	drawn []string // what is on the terminal, to draw over
}

// Progress starts to show progress.
func (c *Call) Progress() *Progress {
	return &Progress{out: c.Err, terminal: terminal(c.Err) != nil, last: time.Now()}
}

// Live reports whether progress is drawn on a terminal.
func (p *Progress) Live() bool { return p.terminal }

// Show shows the line that the function returns, if it is time to.
func (p *Progress) Show(line func() string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := relog
	if p.terminal {
		every = redraw
	}
	if time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	if p.terminal {
		p.draw([]string{line()})
	} else {
		fmt.Fprintln(p.out, line())
	}
}

// Draw draws lines at once, in place of those drawn before. Where there is no
// terminal, it draws nothing.
func (p *Progress) Draw(lines ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal && !slices.Equal(lines, p.drawn) {
		p.draw(lines)
	}
}

// draw turns off the terminal's line wrap: of a wrapped line, only a part would
// be drawn over.
func (p *Progress) draw(lines []string) {
	p.erase()
	for _, line := range lines {
		fmt.Fprintf(p.out, "\x1b[?7l%s\x1b[?7h\n", line)
	}
	p.drawn = lines
}

// End takes what is drawn away: what comes next stands alone.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

func (p *Progress) erase() {
	if len(p.drawn) > 0 {
		fmt.Fprintf(p.out, "\x1b[%dA\x1b[J", len(p.drawn))
		p.drawn = nil
	}
}

// terminal returns the file of a terminal; nil when v is not one.
func terminal(v any) *os.File {
	if f, ok := v.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}
