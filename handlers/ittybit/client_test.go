package ittybit_test

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"ittybit-media/handlers/ittybit"
	"ittybit-media/handlers/media"
)

const apiKey = "ittybit_live_0123456789"

func fixedKey(key string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return key, nil }
}

// newClient is a client of a server that answers with handler.
func newClient(t *testing.T, handler http.HandlerFunc, change ...func(*ittybit.Options)) *ittybit.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o := ittybit.Options{BaseURL: server.URL, Key: fixedKey(apiKey), Version: "1.2.3"}
	for _, f := range change {
		f(&o)
	}
	c, err := ittybit.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func asError(t *testing.T, err error) *ittybit.Error {
	t.Helper()
	e, ok := errors.AsType[*ittybit.Error](err)
	if !ok {
		t.Fatalf("%v is no *ittybit.Error", err)
	}
	return e
}

func TestCreateSendsTheRequest(t *testing.T) {
	t.Parallel()
	const body, key = `{"input":"s3://b/k","kind":"video"}`, "0123456789abcdef0123456789abcdef"
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		if got := r.Method + " " + r.URL.String(); got != "POST /v1/jobs" {
			t.Errorf("got %s", got)
		}
		if string(sent) != body {
			t.Errorf("body %s", sent)
		}
		for name, want := range map[string]string{
			"Authorization":   "Bearer " + apiKey,
			"Content-Type":    "application/json",
			"Accept":          "application/json",
			"Idempotency-Key": key,
			"User-Agent":      "ittybit-media/1.2.3",
			"Accept-Version":  "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id":"job_1","object":"job","status":"queued","kind":"video","input":"s3://b/k","created_at":1775210400000}`)
	}, func(o *ittybit.Options) { o.BaseURL += "/v1/" })
	got, err := c.Create(t.Context(), []byte(body), key)
	if err != nil {
		t.Fatal(err)
	}
	if got.JobID != "job_1" || got.State != media.Queued || got.Input != "s3://b/k" || !got.CreatedAt.Equal(ms(1775210400000)) {
		t.Errorf("got %+v", got)
	}
}

func TestGetEscapesTheID(t *testing.T) {
	t.Parallel()
	const id = "job/../1?x#y %"
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.RequestURI != "/jobs/job%2F..%2F1%3Fx%23y%20%25" {
			t.Errorf("got %s %s", r.Method, r.RequestURI)
		}
		if r.Header.Get("Content-Type") != "" || r.Header.Get("Idempotency-Key") != "" || r.ContentLength != 0 {
			t.Errorf("a GET with %v, %d bytes", r.Header, r.ContentLength)
		}
		_, _ = io.WriteString(w, `{"id":"job/../1?x#y %","status":"succeeded","output":"https://cdn.ittybit.com/v.mp4"}`)
	})
	got, err := c.Get(t.Context(), id)
	if err != nil || got.State != media.Succeeded || got.OutputURL() != "https://cdn.ittybit.com/v.mp4" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestGetRefusesWhatIsNoID(t *testing.T) {
	t.Parallel()
	c := newClient(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	for _, id := range []string{"", ".", ".."} {
		if _, err := c.Get(t.Context(), id); err == nil {
			t.Errorf("%q: no error", id)
		}
	}
}

func TestSuccess(t *testing.T) {
	t.Parallel()
	long := `{"id":"job_1","results":"` + strings.Repeat("x", 1<<20) + `"}`
	tests := []struct {
		name   string
		status int
		body   string
		ok     bool
	}{
		{name: "created", status: 201, body: `{"id":"job_1"}`, ok: true},
		{name: "replayed", status: 200, body: `{"id":"job_1"}`, ok: true},
		{name: "accepted", status: 202, body: `{"id":"job_1"}`, ok: true},
		{name: "wrapped", status: 200, body: `{"meta":{"request_id":"req_1"},"data":{"id":"job_1"},"error":null}`, ok: true},
		{name: "wrapped beside another id", status: 200, body: `{"id":"req_1","data":{"id":"job_1"}}`, ok: true},
		{name: "no id", status: 200, body: `{"status":"queued"}`},
		{name: "empty id", status: 201, body: `{"id":""}`},
		{name: "no content", status: 204, body: ``},
		{name: "empty", status: 201, body: ``},
		{name: "HTML", status: 200, body: `<html>Welcome</html>`},
		{name: "list", status: 200, body: `[{"id":"job_1"}]`},
		{name: "too long", status: 200, body: long},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				answers(tt.status, tt.body)(w, r)
			})
			got, err := c.Create(t.Context(), []byte(`{}`), "k")
			if calls.Load() != 1 {
				t.Errorf("%d calls", calls.Load())
			}
			if tt.ok {
				if err != nil || got.JobID != "job_1" {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if e := asError(t, err); e.Kind != "malformed_answer" || e.Status != tt.status || e.Refusal() {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestGetRefusesAnotherJob(t *testing.T) {
	t.Parallel()
	c := newClient(t, answers(200, `{"id":"job_2","status":"failed"}`))
	_, err := c.Get(t.Context(), "job_1")
	if e := asError(t, err); !e.OtherJob() || !strings.Contains(e.Message, "job_2") {
		t.Errorf("got %v", e)
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	const direct = `{"kind":"invalid_input","message":"no such scheme"}`
	tests := []struct {
		name          string
		status        int
		body          string
		kind, message string
		fromIttybit   bool
		permanent     bool
		notFound      bool
		text          string // in Error()
	}{
		{name: "direct", status: 400, body: direct, kind: "invalid_input", message: "no such scheme", fromIttybit: true, permanent: true,
			text: "ittybit: create job: HTTP 400 invalid_input: no such scheme"},
		{name: "unprocessable", status: 422, body: direct, kind: "invalid_input", message: "no such scheme", fromIttybit: true, permanent: true},
		{name: "too large", status: 413, body: direct, kind: "invalid_input", message: "no such scheme", fromIttybit: true, permanent: true},
		{name: "media type", status: 415, body: direct, kind: "invalid_input", message: "no such scheme", fromIttybit: true, permanent: true},
		{name: "error object", status: 400, body: `{"meta":{},"error":{"code":"bad","message":"no"}}`, kind: "bad", message: "no", fromIttybit: true, permanent: true},
		{name: "error message only", status: 400, body: `{"error":{"message":"no"}}`, message: "no", fromIttybit: true, permanent: true},
		{name: "error text", status: 400, body: `{"error":"no"}`, message: "no", fromIttybit: true, permanent: true},
		{name: "empty error", status: 400, body: `{"error":{}}`, message: `{"error":{}}`},
		{name: "gateway", status: 400, body: `{"message":"Bad Request"}`, message: "Bad Request"},
		{name: "HTML", status: 400, body: "<html>\n  <h1>400</h1>\n</html>", message: "<html> <h1>400</h1> </html>"},
		{name: "no body", status: 400, text: "ittybit: create job: HTTP 400"},
		{name: "list", status: 400, body: `["no"]`, message: `["no"]`},
		{name: "payment", status: 402, body: direct, kind: "invalid_input", message: "no such scheme", fromIttybit: true, text: "check the bill"},
		{name: "forbidden", status: 403, body: direct, kind: "invalid_input", message: "no such scheme", fromIttybit: true, text: "check what the API key may do"},
		{name: "not found", status: 404, body: `{"kind":"job_not_found","message":"no job"}`, kind: "job_not_found", message: "no job", fromIttybit: true, notFound: true},
		{name: "not found by a proxy", status: 404, body: `404 page not found`, message: "404 page not found", text: "check the API URL"},
		{name: "method", status: 405, text: "check the API URL"},
		{name: "conflict", status: 409, body: direct, kind: "invalid_input", message: "no such scheme", fromIttybit: true},
		{name: "gone", status: 410, body: direct, kind: "invalid_input", message: "no such scheme", fromIttybit: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				answers(tt.status, tt.body)(w, r)
			})
			_, err := c.Create(t.Context(), []byte(`{}`), "k")
			e := asError(t, err)
			if calls.Load() != 1 {
				t.Errorf("%d calls", calls.Load())
			}
			if e.Status != tt.status || e.Kind != tt.kind || e.Message != tt.message || e.FromIttybit != tt.fromIttybit {
				t.Errorf("got %+v", e)
			}
			if e.Refusal() != tt.permanent || e.NotFound() != tt.notFound {
				t.Errorf("permanent %v, not found %v", e.Refusal(), e.NotFound())
			}
			if !strings.Contains(e.Error(), tt.text) {
				t.Errorf("text %q", e)
			}
		})
	}
}

func TestRefusedKeyIsReadAgainOnce(t *testing.T) {
	t.Parallel()
	const fresh = "ittybit_live_fresh"
	needs := func(key string, calls *atomic.Int32) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			if r.Header.Get("Authorization") != "Bearer "+key {
				answers(401, `{"kind":"token_invalid","message":"the token `+r.Header.Get("Authorization")[7:]+` is invalid"}`)(w, r)
				return
			}
			answers(201, `{"id":"job_1"}`)(w, r)
		}
	}
	t.Run("renewed", func(t *testing.T) {
		t.Parallel()
		var calls atomic.Int32
		c := newClient(t, needs(fresh, &calls), func(o *ittybit.Options) { o.RefreshKey = fixedKey(fresh) }).Attempts(1)
		if got, err := c.Create(t.Context(), []byte(`{}`), "k"); err != nil || got.JobID != "job_1" || calls.Load() != 2 {
			t.Errorf("got %+v, %v after %d calls", got, err, calls.Load())
		}
	})
	t.Run("refused again", func(t *testing.T) {
		t.Parallel()
		var calls, reads atomic.Int32
		c := newClient(t, needs("another", &calls), func(o *ittybit.Options) {
			o.RefreshKey = func(context.Context) (string, error) { reads.Add(1); return fresh, nil }
		})
		_, err := c.Create(t.Context(), []byte(`{}`), "k")
		e := asError(t, err)
		if e.Status != 401 || e.Refusal() || calls.Load() != 2 || reads.Load() != 1 || !strings.Contains(e.Error(), "check the API key") {
			t.Errorf("got %v after %d calls, %d reads", e, calls.Load(), reads.Load())
		}
		if strings.Contains(e.Error(), fresh) || e.Message != "the token [redacted] is invalid" {
			t.Errorf("got %v", e)
		}
	})
	t.Run("cannot be read", func(t *testing.T) {
		t.Parallel()
		var calls atomic.Int32
		broken := errors.New("secrets are down")
		c := newClient(t, needs(fresh, &calls), func(o *ittybit.Options) {
			o.RefreshKey = func(context.Context) (string, error) { return "", broken }
		})
		_, err := c.Create(t.Context(), []byte(`{}`), "k")
		if e := asError(t, err); e.Status != 401 || !errors.Is(err, broken) || calls.Load() != 1 {
			t.Errorf("got %v after %d calls", err, calls.Load())
		}
	})
	t.Run("no way to", func(t *testing.T) {
		t.Parallel()
		var calls atomic.Int32
		_, err := newClient(t, needs(fresh, &calls)).Create(t.Context(), []byte(`{}`), "k")
		if e := asError(t, err); e.Status != 401 || calls.Load() != 1 {
			t.Errorf("got %v after %d calls", err, calls.Load())
		}
	})
}

// A key with characters that others escape, in an answer that quotes it.
func TestAQuotedKeyIsHiddenInAnyEscapes(t *testing.T) {
	t.Parallel()
	const key = "ittybit_live_a/b+c&d=e<f>"
	for name, quoted := range map[string]string{
		"JSON":             `ittybit_live_a\/b+c\u0026d=e\u003cf\u003e`,
		"JSON, by itself":  `ittybit_live_a\/b+c\u0026d=e\u003cf\u003e`,
		"a URL":            url.QueryEscape(key),
		"a URL in a URL":   url.QueryEscape(url.QueryEscape(key)),
		"HTML":             html.EscapeString(key),
		"a URL in HTML":    html.EscapeString(url.QueryEscape(key)),
		"HTML in a URL":    url.QueryEscape(html.EscapeString(key)),
		"decimal entities": "ittybit_live_a&#47;b&#43;c&#38;d&#61;e&#60;f&#62;",
		"as it is":         key,
	} {
		for form, body := range map[string]string{
			"JSON": `{"kind":"token_invalid","message":"the token ` + quoted + ` is invalid"}`,
			"text": `the token ` + quoted + ` is invalid`,
		} {
			t.Run(name+" in "+form, func(t *testing.T) {
				t.Parallel()
				_, err := newClient(t, answers(401, body), func(o *ittybit.Options) { o.Key = fixedKey(key) }).Create(t.Context(), []byte(`{}`), "k")
				if e := asError(t, err); e.Message != "the token [redacted] is invalid" {
					t.Errorf("got %q", e.Message)
				}
			})
		}
	}
}

func TestKeyMustBeUsable(t *testing.T) {
	t.Parallel()
	broken := errors.New("secrets are down")
	tests := map[string]struct {
		key  func(context.Context) (string, error)
		text string
	}{
		"unreadable": {key: func(context.Context) (string, error) { return "", broken }, text: "secrets are down"},
		"empty":      {key: fixedKey(""), text: "is empty"},
		"newline":    {key: fixedKey("abc123\n"), text: "store the key alone"},
		"JSON":       {key: fixedKey(`{"key": "abc123"}`), text: "store the key alone"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, func(http.ResponseWriter, *http.Request) { t.Error("called") }, func(o *ittybit.Options) { o.Key = tt.key })
			_, err := c.Create(t.Context(), []byte(`{}`), "k")
			if err == nil || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "abc123") {
				t.Errorf("got %v", err)
			}
			if name == "unreadable" && !errors.Is(err, broken) {
				t.Errorf("%v does not wrap its cause", err)
			}
		})
	}
}

func TestErrorsHaveNoSecrets(t *testing.T) {
	t.Parallel()
	const token = "eyJhbGciOiJIUzI1NiJ9.payload.sum"
	for _, body := range []string{
		`{"kind":"invalid_input","message":"webhook_url https://x.example/webhook?token=` + token + ` cannot be reached"}`,
		`{"kind":"invalid_input ` + apiKey + `","message":"key ` + apiKey + `"}`,
		`{"error":{"message":"Authorization: Bearer ` + apiKey + `"}}`,
		`{"error":"Bearer ` + apiKey + `"}`,
		`<html>` + strings.Repeat(" ", 2000) + `{"webhook_url":"https://x.example/webhook?token=` + token + `"} ` + apiKey + `</html>`,
		strings.Repeat("x", 1015) + apiKey,
	} {
		c := newClient(t, answers(400, body))
		_, err := c.Create(t.Context(), []byte(`{}`), "k")
		e := asError(t, err)
		for _, text := range []string{e.Error(), e.Message, e.Kind} {
			if strings.Contains(text, token[:10]) || strings.Contains(text, apiKey[:9]) || len(text) > 1024 {
				t.Errorf("got %q", text)
			}
		}
	}
}
