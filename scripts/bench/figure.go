package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"ittybit-media/scripts/internal/cli"
)

// Figure is something that was measured, with the limit that it must keep.
type Figure struct {
	Part   string  `json:"part"`
	Name   string  `json:"name"`
	Unit   string  `json:"unit"` // "×" for a ratio to another figure of the same run
	Median float64 `json:"median"`
	Low    float64 `json:"low"`  // the tenth percentile
	High   float64 `json:"high"` // the ninetieth
	Runs   int     `json:"runs"`
	Limit  *Limit  `json:"limit,omitempty"`
}

// figures are what a part measured.
type figures []Figure

// add adds the median and the spread of a quantity; the limit may be nil.
func (fs *figures) add(name, unit string, s sample, limit *Limit) {
	*fs = append(*fs, Figure{
		Name: name, Unit: unit, Limit: limit,
		Median: s.median(), Low: s.percentile(10), High: s.percentile(90), Runs: len(s),
	})
}

// Limit bounds a median.
type Limit struct {
	Least float64 `json:"least,omitempty"`
	Most  float64 `json:"most"`
}

func atMost(most float64) *Limit   { return &Limit{Most: most} }
func atLeast(least float64) *Limit { return &Limit{Least: least, Most: math.MaxFloat64} }

// exactly is for what is counted.
func exactly(n float64) *Limit { return &Limit{n, n} }

func (l *Limit) String() string {
	switch {
	case l == nil:
		return ""
	case l.Least == l.Most:
		return "= " + short(l.Least)
	case l.Most == math.MaxFloat64:
		return "≥ " + short(l.Least)
	}
	return "≤ " + short(l.Most)
}

// Kept reports whether the figure keeps its limit.
func (f Figure) Kept() bool {
	return f.Limit == nil || f.Limit.Least <= f.Median && f.Median <= f.Limit.Most
}

// missed returns an error that names the figures that do not keep their limits.
func (fs figures) missed() error {
	var errs []error
	for _, f := range fs {
		if !f.Kept() {
			errs = append(errs, fmt.Errorf("%s: %s is %s %s, wanted %s", f.Part, f.Name, f.show(f.Median), f.Unit, f.Limit))
		}
	}
	return errors.Join(errs...)
}

// sample is one quantity, measured several times.
type sample []float64

func (s *sample) add(v float64) { *s = append(*s, v) }

// percentile is the value under which p of 100 lie, the nearest one measured.
func (s sample) percentile(p float64) float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[int(math.Round(p/100*float64(len(sorted)-1)))]
}

// median is the middle value, or the mean of the middle two.
func (s sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// pairs combines two quantities that were measured in turn, pair by pair, so that
// noise which falls on both cancels out.
func pairs(s, other sample, combine func(a, b float64) float64) sample {
	combined := make(sample, min(len(s), len(other)))
	for i := range combined {
		combined[i] = combine(s[i], other[i])
	}
	return combined
}

func ratio(a, b float64) float64      { return a / b }
func difference(a, b float64) float64 { return a - b }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// short is a number as people read it: three digits that count.
func short(v float64) string {
	switch size := math.Abs(v); {
	case v == math.Trunc(v) && size < 1e6, size >= 100:
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	case size >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case size >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// show is a value of the figure, for people.
func (f Figure) show(v float64) string {
	if f.Unit == "$" {
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return short(v)
}

// print prints figures of one part, for people or as JSON.
func (fs figures) print(c *cli.Call) error {
	if c.JSON {
		for _, f := range fs {
			if err := c.PrintJSON(f); err != nil {
				return err
			}
		}
		return nil
	}
	if len(fs) == 0 {
		return nil
	}
	fmt.Fprintln(c.Out)
	t := cli.NewTable(c.Out, strings.ToUpper(fs[0].Part), "median", "unit", "spread", "runs", "limit")
	for _, f := range fs {
		limit := f.Limit.String()
		if !f.Kept() {
			limit += " MISSED"
		}
		t.Row(f.Name, f.show(f.Median), f.Unit, f.show(f.Low)+" – "+f.show(f.High), strconv.Itoa(f.Runs), limit)
	}
	return t.Flush()
}
