package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipelinetest"
)

// Few uploads with many faults each: two seeds together have every kind.
func TestEveryFaultAndNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	reports := make([]Report, 2)
	t.Run("seeds", func(t *testing.T) {
		for i := range reports {
			t.Run(fmt.Sprint(i+1), func(t *testing.T) {
				t.Parallel()
				var err error
				reports[i], err = Run(t.Context(), Options{Binaries: pipelinetest.Binaries(t), Uploads: 40, Seed: uint64(i + 1), Frequency: 4})
				if err != nil {
					t.Fatal(err)
				}
				if !reports[i].OK() {
					var text bytes.Buffer
					reports[i].Print(&text)
					t.Error(text.String())
				}
			})
		}
	})
	for _, k := range Kinds() {
		if reports[0].Faults[k]+reports[1].Faults[k] == 0 {
			t.Errorf("never happened: %s", k)
		}
	}
	if rows := reports[0].Rows; rows["succeeded"] < 50 || rows["failed"] == 0 || rows["cancelled"] == 0 || rows["rejected"] == 0 || len(rows) != 4 {
		t.Errorf("rows %v", rows)
	}
}

// A run in which no guard holds is found out. Forged callbacks that are taken
// change no row all the same: the ledger knows whose the ids are.
func TestBrokenGuardsAreFound(t *testing.T) {
	t.Parallel()
	r, err := Run(t.Context(), Options{Binaries: pipelinetest.Binaries(t), Uploads: 24, Seed: 3, Frequency: 4, tamper: func(s *simulation) {
		deliver, behave := s.options.Deliveries, s.options.Ittybit
		dropped := s.uploads[0].key
		s.options.Deliveries = func(u media.Upload) []time.Duration {
			if u.Key == dropped { // no retry queue
				return nil
			}
			return deliver(u)
		}
		s.options.Ittybit = func(o *fakeittybit.Options) {
			behave(o)
			fault := o.Fault
			o.Fault = func(r fakeittybit.Request) fakeittybit.Fault {
				s.injector.pipeline.Ittybit.ForgetKeys() // no idempotency key
				return fault(r)
			}
		}
		s.injector.foreign = func() string { return s.injector.signing } // no check of the signature
		s.injector.slow = nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK() || r.Doubled == 0 || r.Lost != 1 || r.Forged == 0 {
		t.Errorf("doubled %d, lost %d, wrong %d, forged %d", r.Doubled, r.Lost, r.Wrong, r.Forged)
	}
}

func TestWhatIsNotAsInTheReferenceCounts(t *testing.T) {
	t.Parallel()
	video, audio := rowID{"1", "video", 0}, rowID{"1", "audio", 0}
	expected := map[rowID]string{video: "v", audio: "a"}
	for name, tt := range map[string]struct {
		came  findings
		judge func(Report) int
	}{
		"doubled": {findings{rows: expected, doubled: []string{"job"}}, func(r Report) int { return r.Doubled }},
		"lost":    {findings{rows: map[rowID]string{video: "v"}}, func(r Report) int { return r.Lost }},
		"wrong":   {findings{rows: map[rowID]string{video: "v", audio: "b"}}, func(r Report) int { return r.Wrong }},
		"invented": {findings{rows: map[rowID]string{video: "v", audio: "a", {"2", "video", 0}: "v"}},
			func(r Report) int { return r.Wrong }},
		"another attempt": {findings{rows: map[rowID]string{video: "v", {"1", "audio", 1}: "a"}}, func(r Report) int { return min(r.Wrong, r.Lost) }},
		"open":            {findings{rows: expected, opened: map[string]bool{"row": true}}, func(r Report) int { return r.Open }},
		"gone back":       {findings{rows: expected, back: map[string]bool{"row": true}}, func(r Report) int { return r.Wrong }},
		"unfinished":      {findings{rows: expected, unfinished: []string{"row"}}, func(r Report) int { return r.Unfinished }},
	} {
		r := compare(expected, tt.came)
		if r.OK() || tt.judge(r) != 1 || len(r.Mistakes) == 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	r := compare(expected, findings{rows: expected})
	if !r.OK() {
		t.Errorf("the same rows: %+v", r)
	}
	r.Forged = 1
	if r.OK() {
		t.Error("an accepted forgery is fine")
	}
}

func TestTheSameSeedMakesTheSameFaults(t *testing.T) {
	t.Parallel()
	list := func(p plan) string {
		var b strings.Builder
		for _, key := range []string{"a", "b"} {
			for _, op := range []operation{opCreate, opWrite, opEnd} {
				for _, detail := range []string{"video", "audio"} {
					for n := range 500 {
						fmt.Fprintln(&b, key, op, detail, n, p.fault(key, op, detail, n))
					}
				}
			}
		}
		return b.String()
	}
	one := list(plan{1, 1})
	if one != list(plan{1, 1}) {
		t.Error("a seed gives one plan, then another")
	}
	if one == list(plan{2, 1}) {
		t.Error("two seeds give the same plan")
	}
	// Each of the four alone changes what happens.
	p := plan{1, 1}
	drawn := map[float64]bool{}
	for _, key := range []string{"a", "b"} {
		for _, what := range []string{"create/video", "create/audio", "list/video"} {
			for n := range 3 {
				drawn[p.draw(key, what, n)] = true
			}
		}
	}
	if len(drawn) != 2*3*3 {
		t.Errorf("%d different draws, want 18", len(drawn))
	}
}

func TestFaultsAreAsFrequentAsSaid(t *testing.T) {
	t.Parallel()
	const n = 50000
	for op, all := range chances {
		counts := map[Kind]int{}
		for i := range n {
			counts[plan{7, 1}.fault("k", op, "", i)]++
		}
		for _, c := range all {
			got := float64(counts[c.kind]) / n
			if math.Abs(got-c.rate) > .2*c.rate+.001 {
				t.Errorf("%s: %s happens to %.4f, want %.4f", op, c.kind, got, c.rate)
			}
		}
	}
}

// The uploads have what is hard in them, and nothing that stands in for
// another.
func TestUploads(t *testing.T) {
	t.Parallel()
	all := uploads(500)
	if !slices.Equal(all[:100], uploads(100)) {
		t.Error("how many there are changes which they are")
	}
	keys := map[string]int{}
	for _, u := range all {
		keys[u.key]++
		if len(u.key) > media.MaxKey {
			t.Errorf("upload %d: a key of %d bytes", u.number, len(u.key))
		}
	}
	twice := 0
	for n := range maps.Values(keys) {
		if n > 1 {
			twice++
		}
	}
	if twice != 13 {
		t.Errorf("%d keys are overwritten, want 13", twice)
	}
	for _, part := range append([]string{corrupt, cancelled, refused, "small/", ".txt", "ittybit-output/"}, oddities...) {
		if !slices.ContainsFunc(all, func(u upload) bool { return strings.Contains(u.key, part) }) {
			t.Errorf("no key has %q in it", part)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := Report{Seed: 7, Uploads: 3, Rows: map[string]int{"succeeded": 9}, Faults: map[Kind]int{Reset: 2, Outage: 0}}
	var text bytes.Buffer
	r.Print(&text)
	for _, want := range []string{"rows succeeded", "fault: " + string(Reset), "NO FAULT OF THIS KIND HAPPENED: " + string(Outage), "OK"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, &text)
		}
	}
	r.Lost, r.Mistakes = 1, []string{"lost: it"}
	text.Reset()
	r.Print(&text)
	if !strings.Contains(text.String(), "FAILED") || !strings.Contains(text.String(), "lost: it") {
		t.Errorf("a failure reads\n%s", &text)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	if err := json.Unmarshal(data, &back); err != nil || back["lost"] != 1.0 || back["seed"] != 7.0 {
		t.Errorf("as JSON: %s %v", data, err)
	}
}
