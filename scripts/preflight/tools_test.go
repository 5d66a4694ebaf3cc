package main

import "testing"

func TestTools(t *testing.T) {
	testFindings(t, map[string]findingsTest{
		"no Go of that version": {
			change: func(w *world) {
				w.t.Setenv("GOPROXY", "off")
				w.write("go.mod", "module m\n\ngo 1.26.0\n\ntoolchain go1.26.9999\n\nrequire github.com/pulumi/pulumi/sdk/v3 v3.259.0\n")
			},
			want: []string{"fix go: go.mod asks for go1.26.9999 → go.dev/dl", "ok pulumi: v3.259.0"},
		},
		"an old Pulumi": {
			change: func(w *world) { w.write("pulumi/version", "v3.43.1\n") },
			want:   []string{"fix pulumi: v3.43.1 is too old → install"},
		},
		"the oldest Pulumi": {
			change: func(w *world) { w.write("pulumi/version", "v3.44.0\n") },
			want:   []string{"warn pulumi: its SDK is v3.259.0 → install"},
		},
		"a Pulumi to come": {
			change: func(w *world) { w.write("pulumi/version", "v4.0.0\n") },
			want:   []string{"warn pulumi: its SDK is v3.259.0 → install"},
		},
		"a newer Pulumi": {
			change: func(w *world) { w.write("pulumi/version", "v3.300.1-alpha.1+dirty\n") },
			want:   []string{"ok pulumi: v3.300.1"},
		},
		"a Pulumi of one's own": {
			change: func(w *world) { w.write("pulumi/version", "(dev)\n") },
			want:   []string{"warn pulumi: (dev) → install"},
		},
		"a go.mod without the SDK": {
			change: func(w *world) { w.write("go.mod", "module m\n\ngo 1.26.0\n") },
			want:   []string{"fix pulumi: does not require github.com/pulumi → go.mod"},
		},
		"no Pulumi": {
			change: func(w *world) { w.t.Setenv("PATH", w.t.TempDir()) },
			want:   []string{"fix go: the go command is needed → go.dev/dl", "fix pulumi: not on PATH → install", "skip pulumi login: needs Pulumi", "skip deployed: needs Pulumi"},
		},
		"nobody is logged in": {
			change: func(w *world) {
				w.write("pulumi/whoami.err", "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions\n")
			},
			want: []string{"fix pulumi login: run pulumi login → PULUMI_BACKEND_URL"},
		},
		"a backend with a password": {
			change: func(w *world) {
				w.write("pulumi/whoami", `{"user":"ann","url":"https://ann:`+apiKey+`@state.example.com"}`)
			},
			want: []string{"ok pulumi login: ann at https://ann:xxxxx@state.example.com"},
		},
	})
}
