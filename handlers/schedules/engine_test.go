package schedules_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/handlers/schedules"
)

// cells is a store of texts: GET /name reads one, PUT /name writes it, and
// PUT /name?if=old does so where it is old.
type cells map[string]string

func (c cells) Key() string { return fmt.Sprint(c) }

func (c cells) Serve(call schedules.Call) []schedules.Outcome {
	name, old, conditional := strings.Cut(strings.TrimPrefix(call.URI, "/"), "?if=")
	switch {
	case call.Method == http.MethodGet:
		return []schedules.Outcome{{Response: schedules.Response{Status: http.StatusOK, Body: c[name]}}}
	case conditional && c[name] != old:
		return []schedules.Outcome{{Response: schedules.Response{Status: http.StatusPreconditionFailed}}}
	}
	after := maps.Clone(c)
	after[name] = call.Body
	return []schedules.Outcome{{Response: schedules.Response{Status: http.StatusNoContent}, Store: after}}
}

type client struct {
	ctx context.Context
	*http.Client
}

func (c client) do(method, path, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(c.ctx, method, "http://cells.test/"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func (c client) get(name string) (string, error) {
	_, text, err := c.do(http.MethodGet, name, "")
	return text, err
}

func (c client) put(name, text string) error {
	_, _, err := c.do(http.MethodPut, name, text)
	return err
}

func process(name string, run func(client) error) schedules.Process {
	return schedules.Process{Name: name, Run: func(ctx context.Context, c *http.Client, _ string) error {
		return run(client{ctx, c})
	}}
}

func scenario(processes ...schedules.Process) schedules.Scenario {
	return schedules.Scenario{Stores: map[string]schedules.Store{"cells": cells{}}, Processes: processes}
}

func cell(v schedules.View, name string) string { return v.Store("cells").(cells)[name] }

// explore explores twice, and expects the same.
func explore(t *testing.T, s schedules.Scenario) schedules.Result {
	t.Helper()
	first, second := schedules.Explore(t, s), schedules.Explore(t, s)
	t.Log(first)
	first.Took, second.Took = 0, 0
	first.Replays, second.Replays = 0, 0 // two workers may find the same node at once
	first.Calls, second.Calls = 0, 0
	if first.String() != second.String() {
		t.Errorf("another result the second time: %v", second)
	}
	return first
}

func TestCopiesAreNotToldApart(t *testing.T) {
	t.Parallel()
	p := writes("a", 3, false)
	p.Copies = 3
	// As many states as there are multisets of three out of 0 to 3 writes; a
	// schedule stands for all that differ in which copy does what.
	if r := explore(t, scenario(p)); r.States != 20 || r.Longest != 9 {
		t.Errorf("%v", r)
	}
	p.Run = process("a", add).Run
	s := scenario(p)
	s.AtEnd = sumIs("3")
	if v := explore(t, s).Violation; v == nil || len(v.Steps) != 6 || !v.Confirmed {
		t.Errorf("%v", v)
	}
}

func TestTheLastStartsWhenNothingElseCanHappen(t *testing.T) {
	t.Parallel()
	last := process("last", func(c client) error {
		text, err := c.get("n")
		return errors.Join(err, c.put("seen", text))
	})
	last.Last = true
	never := process("never", add)
	never.Inputs = func(schedules.View) []string { return nil }
	s := scenario(process("a", addSafely), process("b", addSafely), never, last)
	s.AtEnd = func(v schedules.View) error {
		if got := cell(v, "seen"); got != "2" {
			return fmt.Errorf("it saw %q", got)
		}
		return nil
	}
	if r := explore(t, s); r.Violation != nil {
		t.Errorf("%v", r)
	}
}

// add adds one to a number, and loses what others add meanwhile.
func add(c client) error {
	text, err := c.get("n")
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(text)
	return c.put("n", strconv.Itoa(n+1))
}

// addSafely adds one, again if others were faster.
func addSafely(c client) error {
	for {
		text, err := c.get("n")
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(text)
		status, _, err := c.do(http.MethodPut, "n?if="+text, strconv.Itoa(n+1))
		if err != nil || status == http.StatusNoContent {
			return err
		}
	}
}

func sumIs(want string) func(schedules.View) error {
	return func(v schedules.View) error {
		if got := cell(v, "n"); got != want {
			return fmt.Errorf("the sum is %q, not %s", got, want)
		}
		return nil
	}
}

func TestALostUpdateIsFoundWithAShortestTrace(t *testing.T) {
	t.Parallel()
	s := scenario(process("a", add), process("b", add))
	s.AtEnd = sumIs("2")
	v := explore(t, s).Violation
	if v == nil {
		t.Fatal("not found")
	}
	want := []string{"a: cells GET /n", "b: cells GET /n", "a: cells PUT /n; it has ended", "b: cells PUT /n; it has ended"}
	if slices.Sort(v.Steps[:2]); len(v.Steps) != 4 || !slices.Equal(v.Steps[:2], want[:2]) || !v.Confirmed {
		t.Errorf("%v", v)
	}
}

func TestAConditionalWritePasses(t *testing.T) {
	t.Parallel()
	s := scenario(process("a", addSafely), process("b", addSafely), process("c", addSafely))
	s.AtEnd = sumIs("3")
	if r := explore(t, s); r.Violation != nil || r.Schedules < 100 {
		t.Errorf("%v", r)
	}
}

// The lost answer makes a process add twice.
func TestALostAnswerIsFound(t *testing.T) {
	t.Parallel()
	s := scenario(process("a", func(c client) error {
		if err := addSafely(c); err != nil {
			return addSafely(c)
		}
		return nil
	}))
	s.AtEnd = sumIs("1")
	if r := explore(t, s); r.Violation != nil {
		t.Errorf("without faults: %v", r)
	}
	s.Faults = 1
	v := explore(t, s).Violation
	if v == nil || !strings.HasSuffix(v.Steps[1], "PUT /n?if= (applied, answer lost)") {
		t.Errorf("%v", v)
	}
}

// transfer must write both or none.
func transfer(c client) error {
	return errors.Join(c.put("debit", "1"), c.put("credit", "1"))
}

func TestACrashBetweenTwoWritesIsFound(t *testing.T) {
	t.Parallel()
	s := scenario(process("a", transfer))
	s.AtEnd = func(v schedules.View) error {
		if cell(v, "debit") != cell(v, "credit") {
			return errors.New("half a transfer")
		}
		return nil
	}
	if r := explore(t, s); r.Violation != nil || r.Schedules != 1 {
		t.Errorf("without crashes: %v", r)
	}
	s.Crashes = 1
	v := explore(t, s).Violation
	if v == nil || len(v.Steps) != 1 || v.Steps[0] != "a: crashes after cells PUT /debit (applied, answer lost)" {
		t.Fatalf("%v", v)
	}
	path, err := schedules.ParsePath(schedules.FormatPath(v.Path))
	if err != nil {
		t.Fatal(err)
	}
	if steps, err := schedules.Replay(t, s, path); err == nil || err.Error() != "half a transfer" || !slices.Equal(steps, v.Steps) {
		t.Errorf("replayed: %q, %v", steps, err)
	}
}

// A crash loses nothing if the next one does what is missing.
func TestACrashIsMadeGoodByTheNext(t *testing.T) {
	t.Parallel()
	again := process("b", transfer)
	again.Inputs = func(v schedules.View) []string {
		if v.Count("a", schedules.Crashed) > 0 {
			return []string{"again"}
		}
		return nil
	}
	s := scenario(process("a", transfer), again)
	s.Crashes = 1
	s.AtEnd = func(v schedules.View) error {
		if cell(v, "debit") != "1" || cell(v, "credit") != "1" {
			return errors.New("no whole transfer")
		}
		return nil
	}
	// a ends; or it crashes at the start, after the first or after the second
	// write, and then b does both.
	if r := explore(t, s); r.Violation != nil || r.Schedules != 4 {
		t.Errorf("%v", r)
	}
}

// writes makes a process of n calls, one after the other or all at once.
func writes(name string, n int, atOnce bool) schedules.Process {
	return process(name, func(c client) error {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { _ = c.put(fmt.Sprint(name, i), "x") })
			if !atOnce {
				wg.Wait()
			}
		}
		wg.Wait()
		return nil
	})
}

func TestSchedulesAreAsManyAsCombinatoricsSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		processes []schedules.Process
		crashes   int
		schedules float64
		states    int
	}{
		{name: "three after three", processes: []schedules.Process{writes("a", 3, false), writes("b", 3, false)}, schedules: 20, states: 16},
		{name: "five beside four", processes: []schedules.Process{writes("a", 5, false), writes("b", 4, false)}, schedules: 126, states: 30},
		{name: "three at once", processes: []schedules.Process{writes("a", 3, true)}, schedules: 6, states: 8},
		{name: "three and four at once", processes: []schedules.Process{writes("a", 3, true), writes("b", 4, true)}, schedules: 5040, states: 128},
		{name: "three processes", processes: []schedules.Process{writes("a", 2, false), writes("b", 2, false), writes("c", 2, false)}, schedules: 90, states: 27},
		{name: "one crash", processes: []schedules.Process{writes("a", 2, false)}, crashes: 1, schedules: 4, states: 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := scenario(c.processes...)
			s.Crashes = c.crashes
			if r := explore(t, s); r.Schedules != c.schedules || r.States != c.states {
				t.Errorf("%v schedules, %d states; want %v, %d", r.Schedules, r.States, c.schedules, c.states)
			}
		})
	}
}

func TestOrderedTellsTheOrderOfParallelAnswersApart(t *testing.T) {
	t.Parallel()
	s := scenario(writes("a", 3, true))
	s.Ordered = true
	// One after nothing, 3 after one answer, 6 after two, and the end.
	if r := explore(t, s); r.Schedules != 6 || r.States != 11 {
		t.Errorf("%v", r)
	}
}

func TestManyProcessesAreFewStates(t *testing.T) {
	t.Parallel()
	s := scenario(writes("a", 6, false), writes("b", 6, false), writes("c", 6, false), writes("d", 6, false))
	r := explore(t, s)
	if r.States != 7*7*7*7 || r.Schedules < 1e12 || r.Longest != 24 {
		t.Errorf("%v", r)
	}
}

func TestTimePassesWhereNothingElseHappens(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	waited := map[time.Duration]bool{}
	s := scenario(process("a", func(c client) error {
		began := time.Now()
		time.Sleep(time.Hour)
		err := c.put("n", "1")
		mu.Lock()
		defer mu.Unlock()
		waited[time.Since(began)] = true
		return err
	}))
	if r := explore(t, s); r.Violation != nil || len(waited) != 1 || !waited[time.Hour] {
		t.Errorf("%v; waited %v", r, waited)
	}
}

// The write that a process gave up arrives when the process is over, or never.
func TestAnAbandonedCallMayArriveLate(t *testing.T) {
	t.Parallel()
	ends := map[string]bool{}
	var mu sync.Mutex
	s := scenario(process("a", func(c client) error {
		ctx, cancel := context.WithCancel(c.ctx)
		var wg sync.WaitGroup
		wg.Go(func() { _ = client{ctx, c.Client}.put("late", "1") })
		_, err := c.get("n")
		cancel()
		wg.Wait()
		return errors.Join(err, c.put("n", "1"))
	}))
	s.AtEnd = func(v schedules.View) error {
		mu.Lock()
		defer mu.Unlock()
		ends[cell(v, "late")+"/"+cell(v, "n")] = true
		return nil
	}
	if r := explore(t, s); r.Violation != nil || !maps.Equal(ends, map[string]bool{"/1": true, "1/1": true}) {
		t.Errorf("%v; ends %v", r, ends)
	}
}

func TestAStepBackIsFound(t *testing.T) {
	t.Parallel()
	s := scenario(process("a", add), process("b", func(c client) error { return c.put("n", "0") }))
	s.Step = func(before, after schedules.View) error {
		if cell(before, "n") > cell(after, "n") {
			return errors.New("a step back")
		}
		return nil
	}
	v := explore(t, s).Violation
	if v == nil || len(v.Steps) != 3 || v.Steps[2] != "b: cells PUT /n; it has ended" || !v.Confirmed {
		t.Errorf("%v", v)
	}
}

func TestAPanicIsAViolation(t *testing.T) {
	t.Parallel()
	r := explorePanic(t)
	if _, ok := errors.AsType[*schedules.Panic](r.Violation.Err); !ok || len(r.Violation.Steps) != 1 {
		t.Errorf("%v", r)
	}
}

func explorePanic(t *testing.T) schedules.Result {
	return schedules.Explore(t, scenario(process("a", func(c client) error {
		_, _ = c.get("n")
		panic("on purpose")
	})))
}

func TestAProcessThatIsNotDeterministicIsNamed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	n := 0
	r := schedules.Explore(t, scenario(process("a", func(c client) error {
		mu.Lock()
		n++
		name := fmt.Sprint("cell", n)
		mu.Unlock()
		return c.put(name, "1")
	})))
	if r.Violation == nil || !strings.Contains(r.Violation.Err.Error(), "a: the process is not deterministic") {
		t.Errorf("%v", r)
	}
}
