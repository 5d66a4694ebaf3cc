package main

import (
	"slices"
	"strings"
	"testing"

	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/local/pipelinetest"
)

// findingsTest is a stack with something that can be wrong, and what preflight
// must say of it: "status check: a part of the detail → a part of how to fix
// it".
type findingsTest struct {
	change func(*world)
	want   []string
}

// testFindings checks that each thing that can be wrong is found, and told from
// the others: nothing else is wrong, and all that is can be fixed.
func testFindings(t *testing.T, tests map[string]findingsTest) {
	run := pipelinetest.Start(t, nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := around(t, run)
			tt.change(w)
			r := w.onAWS("-json")
			all := r.findings(t)
			expected := map[string]bool{} // by check and status
			for _, want := range tt.want {
				if !slices.ContainsFunc(all, func(f finding) bool { return fits(f, want) }) {
					t.Errorf("no %s", want)
				}
				about, _, _ := strings.Cut(want, ": ")
				about, _, _ = strings.Cut(about, " → ")
				expected[about] = true
			}
			toFix := 0
			for _, f := range all {
				isBad := f.Status == fix || f.Status == warn
				if isBad && (!expected[string(f.Status)+" "+f.Check] || f.How == "") || f.Status == ok && f.How != "" {
					t.Errorf("%+v", f)
				}
				if f.Status == fix {
					toFix++
				}
			}
			if (r.Code == cli.ExitOK) != (toFix == 0) || r.Code == cli.ExitUsage {
				t.Errorf("exit code %d with %d to fix", r.Code, toFix)
			}
			if t.Failed() {
				t.Logf("%s%s", r.Stdout, r.Stderr)
			}
		})
	}
}

// fits reports whether a finding is as wanted.
func fits(f finding, want string) bool {
	about, how, _ := strings.Cut(want, " → ")
	about, detail, _ := strings.Cut(about, ": ")
	return string(f.Status)+" "+f.Check == about && strings.Contains(f.Detail, detail) && strings.Contains(f.How, how)
}
