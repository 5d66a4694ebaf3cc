package stack

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"ittybit-media/infra/internal/generated"
)

// TestReference holds the two files to the table: it is inside the package,
// since nobody else has a use for the table.
func TestReference(t *testing.T) {
	t.Parallel()
	generated.Block(t, "../../Pulumi.yaml", "  # configuration:begin\n", "  # configuration:end\n", projectConfig())
	generated.Block(t, "../../README.md", "<!-- configuration:begin -->\n", "<!-- configuration:end -->\n", table())
}

// projectConfig is the inside of Pulumi.yaml's config block: Pulumi knows no
// type for lists of objects, so it has scalars only.
func projectConfig() string {
	var b strings.Builder
	for _, k := range keys {
		if _, ok := k.kind.(scalar); !ok {
			continue
		}
		description := sentence(k.meaning) + " " + sentence(k.kind.values())
		if k.empty != "" {
			description += " Empty: " + k.empty + "."
		}
		fmt.Fprintf(&b, "  %s:\n    type: string\n    description: %s\n    default: %s\n", k.name, strconv.Quote(description), strconv.Quote(k.standard))
	}
	return b.String()
}

// table is the reference in README.md.
func table() string {
	var b strings.Builder
	b.WriteString("| key | default | values | meaning |\n|---|---|---|---|\n")
	for _, k := range keys {
		standard := "(" + k.empty + ")"
		if k.standard != "" {
			standard = "`" + k.standard + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.name, standard, k.kind.values(), k.meaning)
	}
	return b.String()
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }
