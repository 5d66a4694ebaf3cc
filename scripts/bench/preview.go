package main

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// preview runs the benchmark of the program in the real engine. That needs
// Pulumi's packages, which stay out of this command.
func (b *bench) preview(ctx context.Context) (figures, error) {
	for _, tool := range []string{"pulumi", "pulumi-language-go", "pulumi-resource-aws", "pulumi-resource-random"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.note("skipped: %s is not on PATH", tool)
			return nil, nil
		}
	}
	runs := cmp.Or(b.runs, 15)
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "Preview", "-benchtime", fmt.Sprintf("%dx", runs), "./infra/enginetest")
	cmd.Dir = b.root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return previewFigures(string(out), runs)
}

// previewMetrics are the benchmark's metrics by their units.
var previewMetrics = map[string]Figure{
	"dev-ms":    {Name: "preview of unchanged code", Unit: "ms"},
	"empty-ms":  {Name: "preview of an empty program", Unit: "ms"},
	"dev/empty": {Name: "preview of unchanged code / empty program", Unit: "×"},
}

// metric is a value in a benchmark's line.
var metric = regexp.MustCompile(`([\d.]+) (dev-ms|empty-ms|dev/empty)`)

// previewFigures reads what the benchmark printed: medians, without a spread.
func previewFigures(printed string, runs int) (figures, error) {
	var out figures
	for _, m := range metric.FindAllStringSubmatch(printed, -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return nil, err
		}
		f := previewMetrics[m[2]]
		f.Median, f.Low, f.High, f.Runs = v, v, v, runs
		out = append(out, f)
	}
	if len(out) != len(previewMetrics) {
		return nil, fmt.Errorf("the benchmark did not print all figures:\n%s", printed)
	}
	return out, nil
}
