package fakeittybit_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ittybit-media/scripts/local/fakeittybit"
)

func jobWithCallback(webhook string) string {
	return fmt.Sprintf(`{"input":"s3://b/uploads/video.mov","kind":"video","webhook_url":%q,"metadata":{"source_key":"uploads/video.mov"}}`, webhook)
}

// at is the value at a path of a JSON object.
func at(root any, path ...string) any {
	for _, name := range path {
		if name == "0" {
			list, _ := root.([]any)
			if len(list) == 0 {
				return nil
			}
			root = list[0]
			continue
		}
		object, _ := root.(map[string]any)
		root = object[name]
	}
	return root
}

func TestCallbackShapes(t *testing.T) {
	t.Parallel()
	const ms, s, iso = 1775210400000.0, 1775210400.0, "2026-04-03T10:00:00Z"
	type values map[string]any // path, with dots, to value; nil: null or absent
	for _, c := range []struct {
		shape     fakeittybit.Shape
		resource  string
		succeeded values
		failed    values
	}{
		{
			fakeittybit.Guide, "data.",
			values{"event": "job.succeeded", "data.status": "completed", "data.output.url": "URL", "data.error": nil, "data.created_at": ms, "data.completed_at": ms},
			values{"event": "job.failed", "data.status": "failed", "data.output": nil, "data.error.message": "no", "data.completed_at": ms},
		},
		{
			fakeittybit.Bare, "",
			values{"event": nil, "type": nil, "data": nil, "object": "job", "status": "succeeded", "output.url": "URL", "error": nil, "created_at": ms, "finished_at": ms, "updated_at": ms},
			values{"status": "failed", "output": nil, "error.message": "no"},
		},
		{
			fakeittybit.Typed, "",
			values{"type": "job.succeeded", "data": nil, "status": "succeeded", "output.url": "URL"},
			values{"type": "job.failed", "status": "failed", "output": nil, "error.message": "no"},
		},
		{
			fakeittybit.TypedData, "data.",
			values{"type": "job.succeeded", "id": nil, "data.status": "succeeded", "data.output.url": "URL"},
			values{"type": "job.failed", "data.status": "failed", "data.output": nil, "data.error.message": "no"},
		},
		{
			fakeittybit.Event, "data.",
			values{"object": "event", "kind": "task.succeeded", "created_at": s, "data.object": "task", "data.status": "succeeded", "data.outputs.0.url": "URL", "data.created_at": s, "data.finished_at": s},
			values{"kind": "task.failed", "data.status": "failed", "data.outputs.0": nil, "data.error.message": "no"},
		},
		{
			fakeittybit.Task, "",
			values{"object": "task", "status": "completed", "output.url": "URL", "created": iso, "completed": iso, "error": nil},
			values{"status": "failed", "output": nil, "error": "no"},
		},
	} {
		for status, want := range map[fakeittybit.Status]values{fakeittybit.Succeeded: c.succeeded, fakeittybit.Failed: c.failed} {
			t.Run(fmt.Sprintf("%q %s", c.shape, status), func(t *testing.T) {
				t.Parallel()
				in := newInbox(t)
				a := serve(t, fakeittybit.Options{
					Instant: true, Clock: newFakeClock(), Shape: c.shape,
					Outcome: func(fakeittybit.Job) fakeittybit.Outcome {
						return fakeittybit.Outcome{Status: status, Message: "no"}
					},
				})
				id := a.create(jobWithCallback(in.url))
				a.wait()
				root := (<-in.got).root
				want[c.resource+"id"], want[c.resource+"kind"] = id, "video"
				want[c.resource+"metadata.source_key"] = "uploads/video.mov"
				for path, value := range want {
					if value == "URL" {
						value = a.url + "/outputs/" + id + "/video.mp4"
					}
					if got := at(root, strings.Split(path, ".")...); got != value {
						t.Errorf("%s is %v, want %v, in %v", path, got, value, root)
					}
				}
				if c.shape == fakeittybit.Event && !strings.HasPrefix(root["id"].(string), "evt_") {
					t.Errorf("the event's id is %v, want evt_…", root["id"])
				}
			})
		}
	}
	if n := len(fakeittybit.Shapes); n != 6 {
		t.Errorf("Shapes has %d, the test 6", n)
	}
}

func TestCallbackSignatureAndQuery(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "shh"} {
		in := newInbox(t)
		a := serve(t, fakeittybit.Options{Instant: true, SigningSecret: secret})
		a.create(jobWithCallback(in.url))
		got := <-in.got
		if _, query, _ := strings.Cut(in.url, "?"); got.query != query {
			t.Errorf("the query is %q, want %q as it was given", got.query, query)
		}
		want := ""
		if secret != "" {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write(got.body)
			want = hex.EncodeToString(mac.Sum(nil))
		}
		if got.signature != want {
			t.Errorf("secret %q: signature %q, want %q", secret, got.signature, want)
		}
	}
}

func TestTheQueryCanBeDropped(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	a := serve(t, fakeittybit.Options{Instant: true, DropQuery: true})
	a.create(jobWithCallback(in.url))
	if got := <-in.got; got.query != "" {
		t.Errorf("the query is %q", got.query)
	}
}

func TestCallbackIsRetriedUntilItIsTaken(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	in := newInbox(t, 500, 302, 401) // a redirect is not followed
	a := serve(t, fakeittybit.Options{Instant: true, Clock: clock})
	a.create(jobWithCallback(in.url))
	bodies := [][]byte{(<-in.got).body}
	for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		if got := <-clock.asked; got != want {
			t.Fatalf("waits %v, want %v", got, want)
		}
		clock.Advance(want)
		bodies = append(bodies, (<-in.got).body)
	}
	a.wait()
	for _, b := range bodies {
		if string(b) != string(bodies[0]) {
			t.Errorf("a retry has another body: %s", b)
		}
	}
	if got, want := a.Callbacks(), (fakeittybit.CallbackCounts{Posts: 4, Delivered: 1}); got != want {
		t.Errorf("Callbacks() = %+v, want %+v", got, want)
	}
}

func TestCallbackIsGivenUp(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	in := newInbox(t, 500, 500, 500)
	a := serve(t, fakeittybit.Options{Instant: true, Clock: clock, CallbackAttempts: 3, CallbackBackoff: time.Minute})
	a.create(jobWithCallback(in.url))
	for range 2 {
		clock.Advance(<-clock.asked)
	}
	a.wait()
	if got, want := a.Callbacks(), (fakeittybit.CallbackCounts{Posts: 3, GivenUp: 1}); got != want {
		t.Errorf("Callbacks() = %+v, want %+v", got, want)
	}
}

// roundTripper stands for the network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func ok() *http.Response {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("ok")), Header: http.Header{}}
}

// submit makes jobs without a network.
func submit(t *testing.T, s *fakeittybit.Server, body string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/jobs", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+apiKey)
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 201 {
		t.Fatalf("%d %s, want 201", w.Code, w.Body)
	}
}

func TestCallbackTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Duration
		began := time.Now()
		s := start(t, fakeittybit.Options{Instant: true, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			tries = append(tries, time.Since(began))
			if len(tries) > 1 {
				return ok(), nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})})
		defer closeIt(t, s)
		submit(t, s, jobWithCallback("https://example.com/webhook"))
		if err := s.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{0, 6 * time.Second}; !slices.Equal(tries, want) {
			t.Errorf("tried at %v, want %v", tries, want)
		}
	})
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	type delivery = fakeittybit.Delivery
	for name, c := range map[string]struct {
		nonFinal   bool
		deliveries map[fakeittybit.Status][]delivery // nil: no hook
		want       []string                          // in the order of arrival
		counts     fakeittybit.CallbackCounts
	}{
		"as it should be": {false, nil, []string{"0s completed"}, fakeittybit.CallbackCounts{Posts: 1, Delivered: 1}},
		"lost":            {false, map[fakeittybit.Status][]delivery{}, nil, fakeittybit.CallbackCounts{Lost: 1}},
		"doubled": {false, map[fakeittybit.Status][]delivery{"succeeded": {{}, {After: time.Minute}}},
			[]string{"0s completed", "1m0s completed"}, fakeittybit.CallbackCounts{Posts: 2, Delivered: 2}},
		"non-final": {true, map[fakeittybit.Status][]delivery{"processing": {{}}, "succeeded": {{After: time.Second}}},
			[]string{"0s processing", "1s completed"}, fakeittybit.CallbackCounts{Posts: 2, Delivered: 2}},
		"out of order": {true, map[fakeittybit.Status][]delivery{"processing": {{After: time.Hour}}, "succeeded": {{}}},
			[]string{"0s completed", "1h0m0s processing"}, fakeittybit.CallbackCounts{Posts: 2, Delivered: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var got []string
				opts := fakeittybit.Options{
					Instant: true, NonFinalCallbacks: c.nonFinal,
					Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
						body, _ := io.ReadAll(r.Body)
						word := "processing"
						if strings.Contains(string(body), `"completed"`) {
							word = "completed"
						}
						got = append(got, fmt.Sprint(time.Since(began), " ", word))
						return ok(), nil
					}),
				}
				if c.deliveries != nil {
					opts.Deliveries = func(j fakeittybit.Job) []delivery { return c.deliveries[j.Status] }
				}
				s := start(t, opts)
				defer closeIt(t, s)
				submit(t, s, jobWithCallback("https://example.com/webhook"))
				if err := s.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
				if n := s.Callbacks(); n != c.counts {
					t.Errorf("Callbacks() = %+v, want %+v", n, c.counts)
				}
			})
		})
	}
}

func TestADeliveryHasItsOwnShape(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	a := serve(t, fakeittybit.Options{Instant: true, Shape: fakeittybit.Bare, Deliveries: func(fakeittybit.Job) []fakeittybit.Delivery {
		return []fakeittybit.Delivery{{Shape: fakeittybit.Event}}
	}})
	a.create(jobWithCallback(in.url))
	if root := (<-in.got).root; root["object"] != "event" {
		t.Errorf("got %v, want an event", root)
	}
}

func TestOnlyThisMachineIsCalled(t *testing.T) {
	t.Parallel()
	notices := make(chan string, 10)
	a := serve(t, fakeittybit.Options{Instant: true, Notice: func(text string) { notices <- text }})
	for range 2 {
		a.create(jobWithCallback("https://example.invalid/webhook"))
	}
	a.wait()
	if got, want := a.Callbacks(), (fakeittybit.CallbackCounts{Lost: 2}); got != want {
		t.Errorf("Callbacks() = %+v, want %+v", got, want)
	}
	if len(notices) != 1 {
		t.Errorf("%d notices, want one", len(notices))
	}
}
