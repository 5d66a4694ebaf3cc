package fakeittybit_test

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/scripts/local/fakeittybit"
)

func TestFaultSeesTheRequest(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []fakeittybit.Request
	a := serve(t, fakeittybit.Options{Instant: true, Fault: func(r fakeittybit.Request) fakeittybit.Fault {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r)
		return fakeittybit.Fault{}
	}})
	a.post(plainJob, "Idempotency-Key", key)
	id := a.create(`{"input":"s3://b/2","kind":"audio"}`)
	a.create(plainJob)
	a.do("GET", "/jobs/"+id, "")
	a.do("GET", "/jobs?input=s3://b/2", "")
	a.do("GET", "/jobs?input=s3://b/2", "")
	const input = "s3://b/uploads/video.mov"
	want := []fakeittybit.Request{
		{Op: fakeittybit.Create, Input: input, Kind: "video", Key: key, Ordinal: 1},
		{Op: fakeittybit.Create, Input: "s3://b/2", Kind: "audio", Ordinal: 1},
		{Op: fakeittybit.Create, Input: input, Kind: "video", Ordinal: 2},
		{Op: fakeittybit.Get, Input: "s3://b/2", Kind: "audio", JobID: id, Ordinal: 1},
		{Op: fakeittybit.List, Input: "s3://b/2", Ordinal: 1},
		{Op: fakeittybit.List, Input: "s3://b/2", Ordinal: 2},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the hook saw\n%+v, want\n%+v", got, want)
	}
	counts := map[fakeittybit.Op]int{fakeittybit.Create: 3, fakeittybit.Get: 1, fakeittybit.List: 2}
	if n := a.Requests(); !maps.Equal(n, counts) {
		t.Errorf("Requests() = %v, want %v", n, counts)
	}
}

func TestFaultsOfEveryOperation(t *testing.T) {
	t.Parallel()
	a := serve(t, fakeittybit.Options{Instant: true, Fault: func(r fakeittybit.Request) fakeittybit.Fault {
		if r.Ordinal > 1 {
			return fakeittybit.Fault{}
		}
		return fakeittybit.Fault{Status: 429, Kind: "rate_limited", Message: "slower", RetryAfter: "7"}
	}})
	a.post(plainJob).want(t, 429, "rate_limited")
	id := a.create(plainJob)
	for _, path := range []string{"/jobs/" + id, "/jobs"} {
		r := a.do("GET", path, "")
		r.want(t, 429, "rate_limited")
		if after := r.header.Get("Retry-After"); after != "7" {
			t.Errorf("GET %s: Retry-After %q, want 7", path, after)
		}
		if r := a.do("GET", path, ""); r.status != 200 {
			t.Errorf("GET %s again: %d, want 200", path, r.status)
		}
	}
}

func TestHangingRequests(t *testing.T) {
	t.Parallel()
	for _, accept := range []bool{false, true} {
		asked := make(chan struct{}, 1)
		a := serve(t, fakeittybit.Options{Instant: true, Fault: func(fakeittybit.Request) fakeittybit.Fault {
			asked <- struct{}{}
			return fakeittybit.Fault{Hang: true, Accept: accept}
		}})
		// One whose client gives up, and one that Close ends.
		ctx, giveUp := context.WithCancel(t.Context())
		answered := make(chan error, 2)
		send := func(ctx context.Context) {
			_, err := a.try(ctx, "POST", "/jobs", plainJob)
			answered <- err
		}
		go send(ctx)
		<-asked
		giveUp()
		if err := <-answered; err == nil {
			t.Error("a hanging request was answered")
		}
		go send(t.Context())
		<-asked
		closeIt(t, a.Server)
		if err := <-answered; err == nil {
			t.Error("a hanging request was answered when the fake closed")
		}
		if made := len(a.Jobs()) > 0; made != accept {
			t.Errorf("accept %v: jobs made: %v", accept, made)
		}
	}
}

func TestDelayIsRealTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, fakeittybit.Options{Instant: true, Clock: newFakeClock(), Fault: func(fakeittybit.Request) fakeittybit.Fault {
			return fakeittybit.Fault{Delay: 2 * time.Second}
		}})
		defer closeIt(t, s)
		began := time.Now()
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/jobs", nil)
		r.Header.Set("Authorization", "Bearer "+apiKey)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if took := time.Since(began); took != 2*time.Second || w.Code != 200 {
			t.Errorf("%d after %v, want 200 after 2s", w.Code, took)
		}
	})
}

func TestRecord(t *testing.T) {
	t.Parallel()
	got := make(chan string, 2)
	a := serve(t, fakeittybit.Options{Instant: true, Record: func(r fakeittybit.Request, body []byte) {
		got <- r.Input + " " + string(body)
	}})
	a.create(plainJob)
	if want := "s3://b/uploads/video.mov " + plainJob; <-got != want {
		t.Errorf("the recorder did not get %q", want)
	}
}
