package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// preview runs the benchmark of the program in the real engine, which needs
// Pulumi's packages: they stay out of this command.
func (b *bench) preview(ctx context.Context) error {
	for _, tool := range []string{"pulumi", "pulumi-language-go", "pulumi-resource-aws", "pulumi-resource-random"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.note("skipped: the engine is not here (%s is not on PATH)", tool)
			return nil
		}
	}
	runs := b.often(15)
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "Preview", "-benchtime", fmt.Sprintf("%dx", runs), "./infra/enginetest")
	cmd.Dir = b.root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	for _, m := range metric.FindAllStringSubmatch(string(out), -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return err
		}
		name := map[string]string{"dev-ms": "preview of unchanged code", "empty-ms": "preview of an empty program", "dev/empty": "preview of unchanged code / empty program"}[m[2]]
		unit := "ms"
		if m[2] == "dev/empty" {
			unit = "×"
		}
		b.figures = append(b.figures, Figure{Part: b.present, Name: name, Unit: unit, Median: v, Low: v, High: v, Runs: runs})
	}
	return nil
}

// metric is a value of a benchmark's line.
var metric = regexp.MustCompile(`([\d.]+) (dev-ms|empty-ms|dev/empty)`)
