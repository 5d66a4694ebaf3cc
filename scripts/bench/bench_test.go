package main

import (
	"bytes"
	"context"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ittybit-media/infra/bundle"
	"ittybit-media/scripts/internal/cli"
	"ittybit-media/scripts/internal/prices"
	"ittybit-media/scripts/local/pipelinetest"
)

func TestMediansAndSpreads(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values            sample
		low, median, high float64
	}{
		{sample{3}, 3, 3, 3},
		{sample{4, 1}, 1, 2.5, 4},
		{sample{9, 1, 5}, 1, 5, 9},
		{sample{10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 5, 9},
	} {
		before := slices.Clone(tt.values)
		if low, median, high := tt.values.percentile(10), tt.values.median(), tt.values.percentile(90); low != tt.low || median != tt.median || high != tt.high {
			t.Errorf("%v: %v, %v, %v", tt.values, low, median, high)
		}
		if !slices.Equal(tt.values, before) { // the order pairs them with others
			t.Errorf("%v has become %v", before, tt.values)
		}
	}
	// A machine that is slow for one pair is slow for both.
	if got := pairs(sample{2, 20, 6}, sample{1, 10, 2}, ratio); !slices.Equal(got, sample{2, 2, 3}) {
		t.Errorf("ratios %v", got)
	}
	if got := pairs(sample{2, 20}, sample{1, 10, 2}, difference); !slices.Equal(got, sample{1, 10}) {
		t.Errorf("differences %v", got)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		limit *Limit
		value float64
		kept  bool
		says  string
	}{
		{nil, 7, true, ""},
		{atMost(1.7), 1.7, true, "≤ 1.70"},
		{atMost(1.7), 1.71, false, "≤ 1.70"},
		{atLeast(0.8), 0.8, true, "≥ 0.80"},
		{atLeast(0.8), 1e9, true, "≥ 0.80"},
		{atLeast(0.8), 0.79, false, "≥ 0.80"},
		{exactly(3), 3, true, "= 3"},
		{exactly(3), 2, false, "= 3"},
		{exactly(0), 0, true, "= 0"},
		{exactly(0), 1, false, "= 0"},
	} {
		f := Figure{Part: "p", Name: "n", Unit: "×", Median: tt.value, Limit: tt.limit}
		if f.Kept() != tt.kept || tt.limit.String() != tt.says {
			t.Errorf("%v of %s: kept %v", tt.value, tt.limit, f.Kept())
		}
		if err := (figures{f}).missed(); (err == nil) != tt.kept || err != nil && !strings.Contains(err.Error(), "p: n is "+short(tt.value)+" ×, wanted "+tt.says) {
			t.Errorf("%v of %s: %v", tt.value, tt.limit, err)
		}
		var out bytes.Buffer
		if err := (figures{f}).print(&cli.Call{Out: &out}); err != nil || strings.Contains(out.String(), "MISSED") == tt.kept {
			t.Errorf("%v in\n%s", err, out.String())
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 3: "3", 1234.5: "1235", 54.64: "54.6", 1.049: "1.05", 0.0456: "0.046", 1e6: "1000000"} {
		if got := short(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if got := (Figure{Unit: "$"}).show(17.4); got != "17.40" {
		t.Errorf("dollars: %s", got)
	}
}

func TestTheCommandLine(t *testing.T) {
	t.Parallel()
	names := func(parts []part) string {
		var all []string
		for _, p := range parts {
			all = append(all, p.name)
		}
		return strings.Join(all, " ")
	}
	for _, tt := range []struct {
		names string
		check bool
		parts string
	}{
		{names: "", parts: "cold warm calls allocations throughput size preview cost"},
		{check: true, parts: "calls allocations size"},
		{names: "warm,cold", parts: "cold warm"},
	} {
		if chosen, err := choose(tt.names, tt.check); err != nil || names(chosen) != tt.parts {
			t.Errorf("%+v: %s, %v", tt, names(chosen), err)
		}
	}
	pipelinetest.WantUsage(t, script, map[string]string{
		"-part ,":           "-part is empty: use cold, warm",
		"-part hot":         `invalid -part "hot": use cold, warm`,
		"-part cold,cold":   `invalid -part "cold"`,
		"-part cold -check": "without -part",
		"-runs -1":          "must not be negative",
		"cold":              "choose parts with -part",
		"-fast":             "-fast",
	})
	if got := pipelinetest.Do(t.Context(), script, "-h"); got.Code != cli.ExitOK || !strings.Contains(got.Stderr, "throughput") || !strings.Contains(got.Stderr, "-json") {
		t.Errorf("%+v", got)
	}
}

// Allocations are the same on every machine: the whole command, with JSON that
// can be read. Nothing else may allocate meanwhile.
func TestTheCommand(t *testing.T) {
	got := pipelinetest.Do(t.Context(), script, "-part", "allocations", "-json")
	figures := pipelinetest.Lines[Figure](t, got.Stdout)
	if got.Code != cli.ExitOK || len(figures) != 7 { // four decoders, three functions
		t.Fatalf("%d figures: %+v", len(figures), got)
	}
	for _, f := range figures {
		if f.Part != "allocations" || f.Name == "" || f.Unit != "allocs" || f.Median <= 0 || f.Limit == nil {
			t.Errorf("%+v", f)
		}
	}
}

func TestALoadOfTenUploads(t *testing.T) {
	t.Parallel()
	got := pipelinetest.Do(t.Context(), script, "-uploads", "10")
	loads := pipelinetest.Lines[load](t, got.Stdout)
	if got.Code != cli.ExitOK || len(loads) != 1 || loads[0].Uploads != 10 || loads[0].rate() <= 0 {
		t.Fatalf("%+v", got)
	}
	if runtime.GOOS == "linux" && (loads[0].BaseMB <= 0 || loads[0].PeakMB < loads[0].BaseMB) {
		t.Errorf("memory: %+v", loads[0])
	}
}

// measure runs a part once, with the handlers that the tests share.
func measure(t *testing.T, part func(*bench, context.Context) (figures, error)) figures {
	t.Helper()
	root, err := bundle.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	binaries := maps.Clone(pipelinetest.Binaries(t))
	binaries[empty] = binaries["webhook"] // any binary starts
	b := &bench{command: command{Call: &cli.Call{Out: t.Output(), Err: t.Output()}, runs: 1}, root: root, binaries: binaries}
	out, err := part(b, t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The parts that run functions report their figures. Durations are not compared
// with their limits here.
func TestParts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		part func(*bench, context.Context) (figures, error)
		want []string           // figures that there are
		same map[string]float64 // figures that every machine has so
		all  bool               // the limits hold on every machine
	}{
		{name: "calls", part: (*bench).calls, all: true, want: []string{
			"dispatch, 10 jobs: POSTs to Ittybit", "dispatch, 10 jobs: writes at once",
			"dispatch, 3 jobs, daily limit: writes of the ledger and the day's count", "webhook: writes of rows", "webhook, daily limit: other calls",
		}},
		{name: "cold", part: (*bench).cold, want: []string{
			"init empty", "init webhook / empty", "init dispatch / empty", "init sweep / empty",
			"init and first answer dispatch − empty", "init and first answer webhook − empty",
		}},
		{name: "warm", part: (*bench).warm, want: []string{
			"dispatch, 1 job", "dispatch, 3 jobs / one of each", "dispatch, 10 jobs", "webhook",
		}},
		{name: "cost", part: (*bench).cost, want: []string{
			"1 job: dispatch", "3 jobs: webhook", "3 jobs: Lambda", "3 jobs: total",
		}, same: map[string]float64{
			"1 job: writes of an upload": 6, "1 job: of these for the ledger and the daily limit": 1.25,
			"3 jobs: writes of an upload": 14, "3 jobs: of these for the ledger and the daily limit": 1.25,
			"3 jobs: DynamoDB": 14*0.625 + 0.125, "3 jobs: of these for the index of open jobs": 6 * 0.625,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := measure(t, tt.part)
			medians := map[string]float64{}
			for _, f := range out {
				medians[f.Name] = f.Median
			}
			for _, name := range tt.want {
				if _, ok := medians[name]; !ok {
					t.Errorf("no figure %q in %v", name, out)
				}
			}
			for name, want := range tt.same {
				if got := medians[name]; math.Abs(got-want) > 1e-9 {
					t.Errorf("%s: %v, want %v", name, got, want)
				}
			}
			if err := out.missed(); tt.all && err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatAnUploadCosts(t *testing.T) {
	t.Parallel()
	p, err := prices.Known()
	if err != nil || p.Date == "" || p.Region == "" || p.Source == "" || len(p.Unknown) == 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	p.PlatformBytes = 500
	priced := bill(p, uploadUsage{
		jobs: 3, dispatchMS: 400, webhookMS: 20, logBytes: 7000,
		reads: 1, writes: 7, // of six rows and the daily count; six of the index come with them
	}, 256, "arm64")
	want := map[string]float64{
		"EventBridge":     1,
		"Lambda":          4*0.20 + 115_000*0.0000133334, // GB-seconds
		"API Gateway":     3,
		"DynamoDB":        13*0.625 + 0.125,
		"CloudWatch Logs": 9 * 0.50, // 9,000 bytes an upload
	}
	sum := 0.0
	for _, i := range priced {
		if math.Abs(i.dollars-want[i.name]) > 1e-9 {
			t.Errorf("%s: %v, want %v", i.name, i.dollars, want[i.name])
		}
		sum += want[i.name]
	}
	if len(priced) != len(want) || math.Abs(total(priced)-sum) > 1e-9 {
		t.Errorf("%v", priced)
	}
}

func TestAllocationsOfThisModule(t *testing.T) {
	t.Parallel()
	const log = `init internal/bytealg @0.1 ms, 0.25 ms clock, 0 bytes, 3 allocs
{"level":"INFO","message":"init x @1 ms, 9 ms clock"}
init ittybit-media/handlers/media @0.5 ms, 1 ms clock, 100 bytes, 2 allocs
init github.com/x/y @0.5 ms, 0.5 ms clock, 100 bytes, 7 allocs
init ittybit-media/handlers/event @0.5 ms, 0 ms clock, 100 bytes, 40 allocs
`
	if got, err := ownAllocations(log); got != 42 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := ownAllocations("nothing of the kind\n"); err == nil {
		t.Error("a log without a report was taken")
	}
}

func TestPreviewFigures(t *testing.T) {
	t.Parallel()
	const printed = "BenchmarkPreview-2   15   1.41 dev/empty   2100 dev-ms   1490 empty-ms\nPASS\n"
	out, err := previewFigures(printed, 15)
	if err != nil || len(out) != 3 || out[0].Unit != "×" || out[0].Median != 1.41 || out[1].Median != 2100 || out[2].Runs != 15 {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := previewFigures("PASS\n", 15); err == nil {
		t.Error("a benchmark without figures was taken")
	}
}
