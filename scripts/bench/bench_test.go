package main

import (
	"bytes"
	"math"
	"path/filepath"
	"reflect"
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
	if pairs := (sample{2, 20, 6}).to(sample{1, 10, 2}, ratio); !slices.Equal(pairs, sample{2, 2, 3}) {
		t.Errorf("ratios %v", pairs)
	}
	if pairs := (sample{2, 20}).to(sample{1, 10, 2}, difference); !slices.Equal(pairs, sample{1, 10}) {
		t.Errorf("differences %v", pairs)
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
		if err := missed([]Figure{f}); (err == nil) != tt.kept || err != nil && !strings.Contains(err.Error(), "p: n is "+short(tt.value)+" ×, wanted "+tt.says) {
			t.Errorf("%v of %s: %v", tt.value, tt.limit, err)
		}
		var out bytes.Buffer
		if err := table(&out, []Figure{f}); err != nil || strings.Contains(out.String(), "MISSED") == tt.kept {
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
		{"", false, "cold init warm calls decode throughput size build preview cost"},
		{"", true, "init calls decode size"},
		{"warm,cold", false, "cold warm"},
	} {
		if chosen, err := choose(tt.names, tt.check); err != nil || names(chosen) != tt.parts {
			t.Errorf("%+v: %s, %v", tt, names(chosen), err)
		}
	}
	pipelinetest.WantUsage(t, script, map[string]string{
		"-part ,":           "names no part",
		"-part hot":         `no part "hot"`,
		"-part cold,cold":   `no part "cold"`,
		"-part cold -check": "does not go with",
		"-runs -1":          "not negative",
		"cold":              "-part names",
		"-fast":             "-fast",
	})
	if got := pipelinetest.Do(t.Context(), script, "-h"); got.Code != cli.ExitOK || !strings.Contains(got.Stderr, "throughput") || !strings.Contains(got.Stderr, "-json") {
		t.Errorf("%+v", got)
	}
}

// The decoders are fast enough to be measured by a test, and give the same
// everywhere: as a whole command, with JSON that can be read.
func TestTheCommand(t *testing.T) {
	got := pipelinetest.Do(t.Context(), script, "-part", "decode", "-runs", "2", "-json")
	figures := pipelinetest.Lines[Figure](t, got.Stdout)
	if got.Code != cli.ExitOK || len(figures) != 8 {
		t.Fatalf("%+v", got)
	}
	for _, f := range figures {
		if f.Part != "decode" || f.Name == "" || f.Unit == "" || f.Median <= 0 || f.Low > f.Median || f.High < f.Median {
			t.Errorf("%+v", f)
		}
	}
}

// quiet is a command that says what it does in the test's log.
func quiet(t *testing.T) command {
	return command{Call: &cli.Call{Out: t.Output(), Err: t.Output()}}
}

func TestCallsOfEveryInvocation(t *testing.T) {
	t.Parallel()
	b := &bench{command: quiet(t), present: "calls", binaries: pipelinetest.Binaries(t)}
	for _, limit := range []int{0, 1000} {
		if err := b.callsWith(t.Context(), limit); err != nil {
			t.Fatal(err)
		}
	}
	if err := missed(b.figures); err != nil || len(b.figures) < 30 {
		t.Errorf("%d figures: %v", len(b.figures), err)
	}
}

func TestALocalRunOfTenUploads(t *testing.T) {
	t.Parallel()
	root, err := bundle.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{command: quiet(t), root: root}
	took, err := b.takeThrough(t.Context(), 10)
	if err != nil || took.Uploads != 10 || took.Rows != 10 || took.rate() <= 0 {
		t.Errorf("%+v, %v", took, err)
	}
	if runtime.GOOS == "linux" && (took.BaseMB <= 0 || took.PeakMB < took.BaseMB) {
		t.Errorf("memory: %+v", took)
	}
}

func TestConnectionsThatCostSomething(t *testing.T) {
	t.Parallel()
	b := &bench{command: quiet(t), binaries: pipelinetest.Binaries(t)}
	w, err := b.world(t.Context(), 0, latency{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	vars, err := w.far(0)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	dispatch, err := w.function(t.Context(), "dispatch", setup{env: vars, log: &log})
	if err != nil {
		t.Fatal(err)
	}
	if _, ids, _, err := w.dispatched(t.Context(), dispatch, 3); err != nil || len(ids) != 3 || dispatch.init() <= 0 {
		t.Errorf("%v, %v\n%s", ids, err, log.String())
	}
}

func TestWhatAnUploadCosts(t *testing.T) {
	t.Parallel()
	p, err := prices.Known()
	if err != nil || p.Date == "" || p.Region == "" || p.Source == "" || len(p.Unknown) == 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	p.PlatformBytes = 500
	priced := bill(p, load{
		jobs: 3, dispatchMS: sample{400}, webhookMS: sample{20}, dispatchLog: 4000, webhookLog: 1000,
		queued: 3, final: 3, index: 6, count: 1, reads: 1,
	}, 256, "arm64")
	want := map[string]float64{
		"EventBridge":     1,
		"Lambda":          4*0.20 + 115_000*0.0000133334, // GB-seconds
		"API Gateway":     3,
		"DynamoDB":        13*0.625 + 0.125,
		"CloudWatch Logs": 9 * 0.50, // 9,000 bytes an upload
	}
	total := 0.0
	for _, i := range priced {
		if math.Abs(i.dollars-want[i.name]) > 1e-9 {
			t.Errorf("%s: %v, want %v", i.name, i.dollars, want[i.name])
		}
		total += want[i.name]
	}
	if len(priced) != len(want) || math.Abs(sum(priced)-total) > 1e-9 {
		t.Errorf("%v", priced)
	}
}

func TestInitsAreToldApart(t *testing.T) {
	t.Parallel()
	const log = `init internal/bytealg @0.1 ms, 0.25 ms clock, 0 bytes, 0 allocs
{"level":"INFO","message":"init x @1 ms, 9 ms clock"}
init github.com/x/y/z @0.5 ms, 1 ms clock, 100 bytes, 2 allocs
init github.com/x/y @0.5 ms, 0.5 ms clock, 100 bytes, 2 allocs
init internal/bytealg @0.1 ms, 0.5 ms clock, 0 bytes, 0 allocs
`
	want := []map[string]initialisation{{"internal": {ms: 0.25}, "github.com/x/y": {1.5, 4}}, {"internal": {ms: 0.5}}}
	if got := initRuns(log); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhatIsInABinary(t *testing.T) {
	t.Parallel()
	for symbol, want := range map[string]string{
		"main.main":                                                  "main",
		"runtime.mallocgc":                                           "runtime",
		"crypto/internal/fips140/sha256.New":                         "crypto",
		"ittybit-media/handlers/event.DecodePayload":                 "ittybit-media",
		"github.com/aws/smithy-go/middleware.(*S).Do":                "github.com/aws/smithy-go",
		"github.com/aws/aws-sdk-go-v2/service/dynamodb/types.(*T).M": "github.com/aws/aws-sdk-go-v2/service/dynamodb",
		"github.com/golang-jwt/jwt/v5.init":                          "github.com/golang-jwt/jwt",
		"slices.SortFunc[go.shape.[]github.com/x/y.Z]":               "slices",
		"go:buildid": "go:buildid",
	} {
		if got := family(symbol); got != want {
			t.Errorf("%s: %s, want %s", symbol, got, want)
		}
	}
	if runtime.GOOS != "linux" {
		t.Skip("this machine's binaries are of another form")
	}
	c, err := open(pipelinetest.Binaries(t)["dispatch"])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ittybit-media", "runtime", "github.com/aws/aws-sdk-go-v2/service/dynamodb"} {
		if c.code[name] == 0 {
			t.Errorf("there is no code of %s in %v", name, c.code)
		}
	}
	if c.sections[".text"] == 0 || c.size < c.sections[".text"] {
		t.Errorf("sections %v of %d bytes", c.sections, c.size)
	}
	if _, err := open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}
