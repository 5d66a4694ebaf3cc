package operator

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// How often progress shows: people see a line move, logs do not fill.
const (
	redraw = 200 * time.Millisecond
	relog  = 10 * time.Second
)

// Progress shows how far long work is, on standard error: one line drawn over
// and over on a terminal, a line now and then elsewhere. Its methods may be
// called by any goroutine.
type Progress struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	last  time.Time
	drawn bool
}

// Progress starts to show progress.
func (c *Call) Progress() *Progress {
	f, ok := c.Err.(*os.File)
	return &Progress{out: c.Err, terminal: ok && isTerminal(f), last: time.Now()}
}

// Show shows the text that the function makes, if it is time to.
func (p *Progress) Show(text func() string) {
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
	if !p.terminal {
		fmt.Fprintln(p.out, text())
		return
	}
	// Without the terminal's line wrap: of two lines, only one would be drawn over.
	fmt.Fprintf(p.out, "\r\x1b[K\x1b[?7l%s\x1b[?7h", text())
	p.drawn = true
}

// End takes the line away: what comes next stands alone.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
