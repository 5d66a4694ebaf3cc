package main

import (
	"fmt"
	"io"

	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/pipeline"
)

// maxShown is how many files a terminal shows at once.
const maxShown = 12

// progress shows how far the files are: drawn over and over on a terminal,
// below the result events, a line for each step elsewhere.
type progress struct {
	*cli.Progress
	out io.Writer
}

func (p *progress) step(s pipeline.Step) {
	line := stepLine(s)
	if event := s.Kind == pipeline.Event || s.Kind == pipeline.LostEvent; line == "" || p.Live() && !event {
		return
	}
	p.End()
	fmt.Fprintln(p.out, line)
}

func (p *progress) show(files []*followed) {
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
			lines = append(lines, cli.Printable(file.key+"  "+file.jobStates()))
		}
	}
	if len(files) > 1 {
		lines = append(lines, fmt.Sprintf("%d of %d files done", over, len(files)))
	}
	p.Draw(lines...)
}
