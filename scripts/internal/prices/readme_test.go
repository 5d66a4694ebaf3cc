package prices_test

import (
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ittybit-media/scripts/internal/prices"
)

// costRow is a line of the README's table: quantity × price = dollars.
var costRow = regexp.MustCompile(`(?m)^\|.*\| ([\d.,]+) (?:M|GB|GB-s) \| ([\d.]+) per .*\| ([\d.]+) \|$`)

// The README's table of costs has the prices of the list, and adds up.
func TestTheREADMEReckonsRight(t *testing.T) {
	t.Parallel()
	p, err := prices.Known()
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	known := []float64{p.PerMillion.Event, p.PerMillion.LambdaRequest, p.PerMillion.APIRequest, p.PerMillion.Write, p.PerMillion.Read, p.GBSecond["arm64"], p.LogsGB}
	rows := costRow.FindAllStringSubmatch(string(readme), -1)
	if len(rows) != 8 {
		t.Fatalf("%d rows: %q", len(rows), rows)
	}
	number := func(text string) float64 {
		v, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	const cent = 0.01
	sum := 0.0
	for _, row := range rows {
		quantity, price, dollars := number(row[1]), number(row[2]), number(row[3])
		if !slices.Contains(known, price) {
			t.Errorf("%s: the list has no such price", row[0])
		}
		if math.Abs(quantity*price-dollars) > cent {
			t.Errorf("%s: it is %.4f", row[0], quantity*price)
		}
		sum += dollars
	}
	if want := "| **sum** | **" + strconv.FormatFloat(sum, 'f', 2, 64) + "** |"; !strings.Contains(string(readme), want) {
		t.Errorf("there is no %q", want)
	}
}
