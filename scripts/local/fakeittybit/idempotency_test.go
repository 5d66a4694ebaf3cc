package fakeittybit_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/scripts/local/fakeittybit"
)

const key = "0123456789abcdef0123456789abcdef"

func TestIdempotency(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	a := serve(t, fakeittybit.Options{Instant: true, Clock: clock})
	first := a.post(plainJob, "Idempotency-Key", key)
	if first.status != 201 {
		t.Fatalf("%d %s, want 201", first.status, first.body)
	}
	a.wait()
	same := func(when string) {
		t.Helper()
		r := a.post(plainJob, "Idempotency-Key", key)
		if r.status != 200 || !bytes.Equal(r.body, first.body) {
			t.Errorf("%s: %d %s, want 200 with the first answer", when, r.status, r.body)
		}
	}
	anew := func(when string) {
		t.Helper()
		r := a.post(plainJob, "Idempotency-Key", key)
		if r.status != 201 || bytes.Equal(r.body, first.body) {
			t.Errorf("%s: %d %s, want 201 with a new job", when, r.status, r.body)
		}
		first = r
	}
	same("at once")
	a.post(`{"input":"s3://b/other","kind":"video"}`, "Idempotency-Key", key).want(t, 409, "idempotency_mismatch")
	clock.Advance(24*time.Hour - 1)
	same("just within 24 h")
	clock.Advance(1)
	anew("after 24 h")
	same("after the second")
	a.ForgetKeys()
	anew("after ForgetKeys")
	if r := a.post(plainJob); r.status != 201 {
		t.Errorf("without a key: %d, want 201", r.status)
	}
	if n := len(a.Jobs()); n != 4 {
		t.Errorf("%d jobs, want 4", n)
	}
}

func TestIdempotencyKeyLength(t *testing.T) {
	t.Parallel()
	a := serve(t, fakeittybit.Options{Instant: true})
	for n, want := range map[int]int{1: 400, 15: 400, 16: 201, 32: 201, 33: 400, 64: 400} {
		if r := a.post(plainJob, "Idempotency-Key", strings.Repeat("k", n)); r.status != want {
			t.Errorf("%d characters: %d, want %d", n, r.status, want)
		}
	}
}

func TestRefusedRequestsLeaveTheKeyUnused(t *testing.T) {
	t.Parallel()
	a := serve(t, fakeittybit.Options{Instant: true})
	a.post(`{"kind":"video"}`, "Idempotency-Key", key).want(t, 400, "invalid_input")
	if r := a.post(plainJob, "Idempotency-Key", key); r.status != 201 {
		t.Errorf("%d %s, want 201", r.status, r.body)
	}
}

func TestRefusalsCanUseTheKeyUp(t *testing.T) {
	t.Parallel()
	a := serve(t, fakeittybit.Options{Instant: true, ReplayRefusals: true})
	const bad = `{"kind":"video"}`
	a.post(bad, "Idempotency-Key", key).want(t, 400, "invalid_input")
	a.post(bad, "Idempotency-Key", key).want(t, 400, "invalid_input")
	a.post(plainJob, "Idempotency-Key", key).want(t, 409, "idempotency_mismatch")
}

func TestFailedFirstAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		replay      bool
		fault       fakeittybit.Fault
		second      int
		jobs        int
		afterSecond int
	}{
		{"503, tried anew", false, fakeittybit.Fault{Status: 503}, 201, 1, 200},
		{"503, replayed", true, fakeittybit.Fault{Status: 503}, 503, 0, 503},
		{"429 is never replayed", true, fakeittybit.Fault{Status: 429}, 201, 1, 200},
		{"accepted, then 500", false, fakeittybit.Fault{Status: 500, Accept: true}, 200, 1, 200},
		{"accepted, then 500, replayed", true, fakeittybit.Fault{Status: 500, Accept: true}, 500, 1, 500},
		{"accepted, then cut", true, fakeittybit.Fault{Cut: true, Accept: true}, 200, 1, 200},
		{"cut", true, fakeittybit.Fault{Cut: true}, 201, 1, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := serve(t, fakeittybit.Options{
				Instant: true, ReplayFailures: c.replay,
				Fault: func(r fakeittybit.Request) fakeittybit.Fault {
					if r.Ordinal == 1 {
						return c.fault
					}
					return fakeittybit.Fault{}
				},
			})
			r, err := a.try(t.Context(), "POST", "/jobs", plainJob, "Idempotency-Key", key)
			if c.fault.Cut != (err != nil) || r.status != c.fault.Status {
				t.Errorf("first: %d, %v, want %+v", r.status, err, c.fault)
			}
			for i, want := range []int{c.second, c.afterSecond} {
				if r := a.post(plainJob, "Idempotency-Key", key); r.status != want {
					t.Errorf("repetition %d: %d %s, want %d", i+1, r.status, r.body, want)
				}
			}
			if n := len(a.Jobs()); n != c.jobs {
				t.Errorf("%d jobs, want %d", n, c.jobs)
			}
		})
	}
}

// together sends n equal requests at the same moment, while each takes a while,
// and counts the statuses.
func together(t *testing.T, s *fakeittybit.Server, n int) map[int]int {
	var mu sync.Mutex
	statuses := map[int]int{}
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/jobs", strings.NewReader(plainJob))
			r.Header.Set("Authorization", "Bearer "+apiKey)
			r.Header.Set("Idempotency-Key", key)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			mu.Lock()
			defer mu.Unlock()
			statuses[w.Code]++
		})
	}
	group.Wait()
	return statuses
}

func TestRequestsInFlightCanRace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, fakeittybit.Options{Instant: true, InFlight: fakeittybit.RaceInFlight, Latency: 300 * time.Millisecond})
		defer closeIt(t, s)
		if got := together(t, s, 3); got[201] != 3 || len(s.Jobs()) != 3 {
			t.Errorf("statuses %v and %d jobs, want three of each", got, len(s.Jobs()))
		}
		if after := together(t, s, 1); after[200] != 1 {
			t.Errorf("afterwards: %v, want a 200", after)
		}
	})
}

func TestRequestsInFlightTogether(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode   fakeittybit.InFlight
		status int
	}{
		"wait":   {fakeittybit.WaitInFlight, http.StatusOK},
		"refuse": {fakeittybit.RefuseInFlight, http.StatusConflict},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, fakeittybit.Options{Instant: true, InFlight: c.mode, Latency: 300 * time.Millisecond})
				defer closeIt(t, s)
				began := time.Now()
				got := together(t, s, 10)
				if got[201] != 1 || got[c.status] != 9 {
					t.Errorf("statuses %v, want one 201 and nine %d", got, c.status)
				}
				if n := len(s.Jobs()); n != 1 {
					t.Errorf("%d jobs, want 1", n)
				}
				if n := s.MaxInFlight(); n != 10 {
					t.Errorf("%d in flight at once, want 10", n)
				}
				if took := time.Since(began); took < 300*time.Millisecond {
					t.Errorf("took %v, less than the latency", took)
				}
				if after := together(t, s, 1); after[200] != 1 {
					t.Errorf("afterwards: %v, want a 200", after)
				}
			})
		})
	}
}
