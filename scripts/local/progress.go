package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/term"

	"ittybit-media/scripts/local/pipeline"
)

// maxShown is how many files a terminal shows at once.
const maxShown = 12

// progress shows how far the files are: drawn over and over on a terminal, below
// the result events, a line for each step elsewhere.
type progress struct {
	out      io.Writer
	terminal *os.File // nil: not one
	drawn    []string // what is on the terminal, to draw over
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.terminal = f
	}
	return p
}

func (p *progress) step(s pipeline.Step) {
	line := stepLine(s)
	if event := s.Kind == pipeline.Event || s.Kind == pipeline.LostEvent; line == "" || p.terminal != nil && !event {
		return
	}
	p.erase()
	fmt.Fprintln(p.out, line)
}

func (p *progress) show(files []*followed) {
	if p.terminal == nil {
		return
	}
	width, _, err := term.GetSize(int(p.terminal.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	over := 0
	var lines []string
	for _, file := range files {
		if file.over {
			over++
			if len(files) > maxShown {
				continue
			}
		}
		if len(lines) < maxShown {
			lines = append(lines, clip(printable(file.key)+"  "+printable(file.jobStates()), width-1))
		}
	}
	if len(files) > 1 {
		lines = append(lines, fmt.Sprintf("%d of %d files done", over, len(files)))
	}
	if slices.Equal(lines, p.drawn) {
		return
	}
	p.erase()
	for _, line := range lines {
		fmt.Fprintln(p.out, line)
	}
	p.drawn = lines
}

// end leaves the terminal to the table.
func (p *progress) end() {
	if p.terminal != nil {
		p.erase()
	}
}

func (p *progress) erase() {
	if len(p.drawn) > 0 {
		fmt.Fprintf(p.out, "\x1b[%dA\x1b[J", len(p.drawn))
		p.drawn = nil
	}
}

// clip keeps a line from wrapping: a wrapped one would be drawn over in part.
func clip(line string, width int) string {
	runes := []rune(line)
	if len(runes) <= width {
		return line
	}
	return string(runes[:width-1]) + "…"
}
