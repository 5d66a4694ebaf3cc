package ittybit_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"ittybit-media/handlers/ittybit"
)

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	own := &http.Client{}
	t.Cleanup(func() {
		if own.CheckRedirect != nil {
			t.Error("the caller's client was changed")
		}
	})
	for name, change := range map[string]func(*ittybit.Options){
		"own client":    func(o *ittybit.Options) { o.HTTP = own },
		"client's made": func(*ittybit.Options) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/jobs" {
					t.Errorf("followed to %s", r.URL)
				}
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			}, change)
			_, err := c.Create(t.Context(), []byte(`{}`), "k")
			if e := asError(t, err); e.Status != 307 || e.Refusal() || !strings.Contains(e.Error(), "check the API URL") {
				t.Errorf("got %v", e)
			}
		})
	}
}

// The answers' ends are read, so one connection is enough.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	server := httptest.NewUnstartedServer(nil)
	bodies := []string{`{"id":"job_1"}`, strings.Repeat("x", 1<<20+100)}
	var calls atomic.Int32
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		answers(200+200*(int(n)/2%2), bodies[int(n)%2])(w, r)
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	server.Start()
	t.Cleanup(server.Close)
	counted := roundTripper(func(r *http.Request) (*http.Response, error) {
		return transport.RoundTrip(r.WithContext(traceConns(r.Context(), &conns)))
	})
	c, err := ittybit.New(ittybit.Options{BaseURL: server.URL, Key: fixedKey(apiKey), HTTP: &http.Client{Transport: counted}})
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		_, _ = c.Create(t.Context(), []byte(`{}`), "k")
	}
	if calls.Load() != 8 || conns.Load() != 1 {
		t.Errorf("%d calls over %d connections", calls.Load(), conns.Load())
	}
}

func TestTheFirstCallFindsTheConnectionOpen(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && (r.URL.Path != "/" || r.Header.Get("Authorization") != "" || r.Header.Get("User-Agent") != "ittybit-media/1.2.3") {
			t.Errorf("unexpected request %s %s %v", r.Method, r.URL, r.Header)
		}
		answers(200, `{"id":"job_1"}`)(w, r)
	}))
	t.Cleanup(server.Close)
	var conns atomic.Int32
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	connected := make(chan struct{})
	watched := roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r.WithContext(traceConns(r.Context(), &conns)))
		if r.Method == http.MethodHead {
			close(connected)
		}
		return resp, err
	})
	c, err := ittybit.New(ittybit.Options{BaseURL: server.URL + "/", Key: fixedKey(apiKey), Version: "1.2.3", HTTP: &http.Client{Transport: watched}})
	if err != nil {
		t.Fatal(err)
	}
	c.Connect()
	<-connected
	if _, err := c.Create(t.Context(), []byte(`{}`), "k"); err != nil || conns.Load() != 1 {
		t.Errorf("%v over %d connections", err, conns.Load())
	}
}

func TestNewValidates(t *testing.T) {
	t.Parallel()
	if _, err := ittybit.New(ittybit.Options{BaseURL: "http://api.ittybit.com", Key: fixedKey(apiKey)}); err == nil {
		t.Error("plain http is accepted")
	}
	if _, err := ittybit.New(ittybit.Options{BaseURL: ittybit.DefaultURL}); err == nil {
		t.Error("no key is accepted")
	}
	if _, err := ittybit.New(ittybit.Options{BaseURL: ittybit.DefaultURL, Key: fixedKey(apiKey)}); err != nil {
		t.Error(err)
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		ittybit.DefaultURL, "https://api.example/v1/", "https://10.0.0.1:8443",
		"http://localhost:8080", "http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:1",
	} {
		if err := ittybit.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "api.ittybit.com", "https://", "https:///jobs", "https:api", "ftp://api.ittybit.com", "http://api.ittybit.com",
		"http://localhost.example", "http://10.0.0.1", "https://user:hunter2@api.ittybit.com", "https://api.ittybit.com?key=hunter2",
		"https://api.ittybit.com?", "https://api.ittybit.com/#hunter2", "https://hunter2:%zz@api", "https://a b/",
	} {
		err := ittybit.CheckURL(bad)
		if err == nil {
			t.Errorf("%s is accepted", bad)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
