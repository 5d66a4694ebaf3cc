package main

import (
	"math"
	"testing"
	"time"

	"ittybit-media/infra/stack"
	"ittybit-media/scripts/internal/prices"
)

// A million uploads of three jobs cost what the README says, without the events
// of S3, and with what backfill itself does.
func TestCost(t *testing.T) {
	t.Parallel()
	known, err := prices.Known()
	if err != nil {
		t.Fatal(err)
	}
	all, transfer := cost(plan{pages: 1000, tally: tally{Sent: 1e6, Jobs: 3e6}}, known)
	if want := 19.59 - 1.00 + 0.13 + 0.005; math.Abs(all-want) > 0.02 || transfer != 0 {
		t.Errorf("%.3f, of which %.3f for the transfer; want %.3f", all, transfer, want)
	}
	if all, transfer = cost(plan{tally: tally{Bytes: 1e12}}, known); transfer != 90 || all != 90 {
		t.Errorf("a terabyte: %.3f, %.3f", all, transfer)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 1_500_000: "1.5 MB", 12_345_678_901: "12.3 GB", math.MaxInt64: "9223.4 PB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}

func TestTheProgressSaysHowLongItTakes(t *testing.T) {
	t.Parallel()
	b := backfill{earlier: 100, sent: 60, began: time.Now().Add(-time.Minute), tally: tally{Objects: 220, Sent: 90}}
	if got, want := b.line(plan{tally: tally{Objects: 240, Sent: 200}}), "sent 90, skipped 130; 120 of 240, 1.0 a second, 60 s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := b.line(plan{tally: tally{Objects: 500, Sent: 180}, partial: true}), "sent 90, skipped 130; 60 of 180, 1.0 a second, 2 min left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Whatever decides which objects are sent tells backfills apart.
func TestDigest(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	try := func(what string, o stack.Outputs, s selection) {
		t.Helper()
		sum, err := digest(o, s)
		if err != nil || seen[sum] != "" {
			t.Errorf("%s: %s as %s, %v", what, sum, seen[sum], err)
		}
		seen[sum] = what
	}
	o := stack.Outputs{Region: "eu-west-1", Bucket: "b", Table: "t", WebhookURL: "https://w", Settings: stack.Settings{Routes: []byte("[1]"), OutputPrefix: "o/"}}
	try("the first", o, selection{})
	for what, change := range map[string]func(*stack.Outputs, *selection){
		"bucket":   func(o *stack.Outputs, _ *selection) { o.Bucket = "c" },
		"table":    func(o *stack.Outputs, _ *selection) { o.Table = "u" },
		"URL":      func(o *stack.Outputs, _ *selection) { o.WebhookURL = "https://v" },
		"routes":   func(o *stack.Outputs, _ *selection) { o.Settings.Routes = []byte("[2]") },
		"outputs":  func(o *stack.Outputs, _ *selection) { o.Settings.OutputPrefix = "p/" },
		"prefix":   func(_ *stack.Outputs, s *selection) { s.Prefixes = []string{"a"} },
		"suffix":   func(_ *stack.Outputs, s *selection) { s.Suffixes = []string{"a"} },
		"since":    func(_ *stack.Outputs, s *selection) { s.Since = "72h" },
		"until":    func(_ *stack.Outputs, s *selection) { s.Until = "72h" },
		"versions": func(_ *stack.Outputs, s *selection) { s.Versions = true },
	} {
		o, s := o, selection{}
		change(&o, &s)
		try(what, o, s)
	}
}
