package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// aligned is how many rows a table aligns at a time, so that it need not keep
// them all.
const aligned = 100

// Table prints rows in columns, for people.
type Table struct {
	w    *tabwriter.Writer
	rows int
}

// NewTable returns a table of left-aligned columns with two spaces between
// them, which begins with a row of headings if there are any.
func NewTable(out io.Writer, headings ...string) *Table {
	t := &Table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	if len(headings) > 0 {
		t.Row(headings...)
	}
	return t
}

// Row adds a row. It prints "-" for an empty cell, and every cell as
// [Printable].
func (t *Table) Row(cells ...string) {
	for i, cell := range cells {
		cells[i] = Printable(cmp.Or(cell, "-"))
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
	if t.rows++; t.rows%aligned == 0 {
		_ = t.Flush() // the writer keeps its error for the last one
	}
}

// Flush prints the rows that are not printed yet. The error is the writer's.
func (t *Table) Flush() error { return t.w.Flush() }
