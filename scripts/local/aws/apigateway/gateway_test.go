package apigateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"ittybit-media/scripts/local/aws/apigateway"
	"ittybit-media/scripts/local/aws/lambda"
)

// function answers what it is told to and remembers the event.
type function struct {
	payload       string
	functionError string
	err           error

	invoked bool
	event   events.APIGatewayV2HTTPRequest
}

func (f *function) Invoke(_ context.Context, payload []byte) (lambda.Result, error) {
	f.invoked = true
	if err := json.Unmarshal(payload, &f.event); err != nil {
		return lambda.Result{}, err
	}
	return lambda.Result{RequestID: "r1", Payload: []byte(f.payload), FunctionError: f.functionError}, f.err
}

func handler(t *testing.T, cfg apigateway.Config) http.Handler {
	t.Helper()
	if cfg.Route == "" {
		cfg.Route = "POST /webhook"
	}
	h, err := apigateway.Handler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func post(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func wantMessage(t *testing.T, w *httptest.ResponseRecorder, status int, message string) {
	t.Helper()
	if w.Code != status || w.Body.String() != `{"message":"`+message+`"}` || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %s %s; want %d %s", w.Code, w.Header().Get("Content-Type"), w.Body, status, message)
	}
}

func TestTheEventOfARequest(t *testing.T) {
	t.Parallel()
	f := &function{payload: `{}`}
	h := handler(t, apigateway.Config{
		Function: f, Account: "123456789012",
		Now: func() time.Time { return time.Date(2024, 5, 1, 14, 0, 0, 5e6, time.FixedZone("", 7200)) },
	})
	r := httptest.NewRequest(http.MethodPost, "http://abc123.execute-api.localhost:8080/webhook?token=a.b%2Bc&n=1&n=2&empty=&bad=%zz", strings.NewReader(`{"id":"é"}`))
	r.RemoteAddr = "192.0.2.1:4711"
	r.Header.Add("Content-Type", "Application/JSON; charset=utf-8")
	r.Header.Add("X-Thing", "1")
	r.Header.Add("X-Thing", "2")
	r.Header.Add("Cookie", "a=1; b=2")
	r.Header.Add("Cookie", "c=3")
	r.Header.Add("User-Agent", "Ittybit")
	w := serve(h, r)

	e := f.event
	if e.Version != "2.0" || e.RouteKey != "POST /webhook" || e.RawPath != "/webhook" || e.RawQueryString != "token=a.b%2Bc&n=1&n=2&empty=&bad=%zz" {
		t.Errorf("event %+v", e)
	}
	if e.Body != `{"id":"é"}` || e.IsBase64Encoded {
		t.Errorf("body %q, base64 %t", e.Body, e.IsBase64Encoded)
	}
	if want := map[string]string{"token": "a.b+c", "n": "1,2", "empty": ""}; !maps.Equal(e.QueryStringParameters, want) {
		t.Errorf("query %v", e.QueryStringParameters)
	}
	if want := []string{"a=1", "b=2", "c=3"}; !slices.Equal(e.Cookies, want) {
		t.Errorf("cookies %q", e.Cookies)
	}
	wantHeaders := map[string]string{
		"content-type": "Application/JSON; charset=utf-8", "content-length": "11",
		"host": "abc123.execute-api.localhost:8080", "user-agent": "Ittybit", "x-thing": "1,2",
		"x-forwarded-for": "192.0.2.1", "x-forwarded-port": "443", "x-forwarded-proto": "https",
	}
	if !maps.Equal(e.Headers, wantHeaders) {
		t.Errorf("headers %v\nwant    %v", e.Headers, wantHeaders)
	}
	c := e.RequestContext
	if c.RequestID == "" || c.RequestID != w.Header().Get("Apigw-Requestid") {
		t.Errorf("request id %q, header %q", c.RequestID, w.Header().Get("Apigw-Requestid"))
	}
	want := events.APIGatewayV2HTTPRequestContext{
		AccountID: "123456789012", APIID: "abc123", DomainName: "abc123.execute-api.localhost", DomainPrefix: "abc123",
		RequestID: c.RequestID, RouteKey: "POST /webhook", Stage: "$default", Time: "01/May/2024:12:00:00 +0000", TimeEpoch: 1714564800005,
		HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: "POST", Path: "/webhook", Protocol: "HTTP/1.1", SourceIP: "192.0.2.1", UserAgent: "Ittybit"},
	}
	got, _ := json.Marshal(c)
	if wanted, _ := json.Marshal(want); !bytes.Equal(got, wanted) {
		t.Errorf("context %s\nwant    %s", got, wanted)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		contentType, body, want string
		encoded                 bool
	}{
		{"application/json", `{}`, `{}`, false},
		{"text/plain", "é", "é", false},
		{"text/html; charset", "é", "é", false}, // a parameter without a value
		{"application/xml", "<a/>", "<a/>", false},
		{"application/javascript", "f()", "f()", false},
		{"application/json", "\xff", "/w==", true},
		{"application/octet-stream", "a", "YQ==", true},
		{"application/x-www-form-urlencoded", "a=b", "YT1i", true},
		{"", "a", "YQ==", true},
		{"", "", "", false},
	} {
		f := &function{payload: `{}`}
		r := post(test.body)
		r.Header.Set("Content-Type", test.contentType)
		serve(handler(t, apigateway.Config{Function: f}), r)
		if !f.invoked || f.event.Body != test.want || f.event.IsBase64Encoded != test.encoded {
			t.Errorf("%q of %q became %q, base64 %t", test.body, test.contentType, f.event.Body, f.event.IsBase64Encoded)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	text := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	for _, test := range []struct {
		name, payload string
		status        int
		header        http.Header
		body          string
	}{
		{"a status alone", `{"statusCode":401}`, 401, text, ""},
		{"a body", `{"statusCode":200,"body":"stored"}`, 200, text, "stored"},
		{"headers and cookies", `{"statusCode":500,"headers":{"content-type":"application/json","x-thing":"1","content-length":"99","connection":"close"},"cookies":["a=1","b=2; Secure"],"body":"{}"}`,
			500, http.Header{"Content-Type": {"application/json"}, "X-Thing": {"1"}, "Set-Cookie": {"a=1", "b=2; Secure"}}, "{}"},
		{"base64", `{"statusCode":200,"isBase64Encoded":true,"body":"/w=="}`, 200, text, "\xff"},
		{"bare JSON", `{"ok": true}`, 200, http.Header{"Content-Type": {"application/json"}}, `{"ok": true}`},
		{"a bare word", `"ok"`, 200, http.Header{"Content-Type": {"application/json"}}, `"ok"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler(t, apigateway.Config{Function: &function{payload: test.payload}}))
			defer server.Close()
			response, err := http.Post(server.URL+"/webhook", "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != test.status || string(body) != test.body {
				t.Errorf("%d %q, %v", response.StatusCode, body, err)
			}
			for _, name := range []string{"Date", "Content-Length", "Apigw-Requestid"} {
				response.Header.Del(name)
			}
			if got, want := response.Header, test.header; !maps.EqualFunc(got, want, slices.Equal[[]string]) {
				t.Errorf("header %v, want %v", got, want)
			}
		})
	}
}

func TestWhatFailsInTheFunction(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*function{
		"a function error":  {payload: `{"errorMessage":"secret"}`, functionError: "Unhandled"},
		"no answer":         {err: errors.New("closed")},
		"not JSON":          {payload: `ok`},
		"nothing":           {payload: ``},
		"a status of words": {payload: `{"statusCode":"200"}`},
		"a status of 100":   {payload: `{"statusCode":100}`},
		"a status of 1000":  {payload: `{"statusCode":1000}`},
		"a header's number": {payload: `{"statusCode":200,"headers":{"a":1}}`},
		"bad base64":        {payload: `{"statusCode":200,"isBase64Encoded":true,"body":"?"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantMessage(t, serve(handler(t, apigateway.Config{Function: f}), post("{}")), 500, "Internal Server Error")
		})
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, path string
		found        bool
	}{
		{"POST", "/webhook", true},
		{"GET", "/webhook", false},
		{"OPTIONS", "/webhook", false},
		{"POST", "/webhook/", false},
		{"POST", "/", false},
	} {
		f := &function{payload: `{}`}
		w := serve(handler(t, apigateway.Config{Function: f}), httptest.NewRequest(test.method, test.path, nil))
		if f.invoked != test.found {
			t.Errorf("%s %s: invoked %t", test.method, test.path, f.invoked)
		}
		if !test.found {
			wantMessage(t, w, 404, "Not Found")
		}
	}
}

func TestTheBodyLimit(t *testing.T) {
	t.Parallel()
	f := &function{payload: `{}`}
	h := handler(t, apigateway.Config{Function: f})
	if w := serve(h, post(strings.Repeat(" ", apigateway.MaxBodyBytes))); w.Code != 200 {
		t.Errorf("the largest body: %d", w.Code)
	}
	f.invoked = false
	wantMessage(t, serve(h, post(strings.Repeat(" ", apigateway.MaxBodyBytes+1))), 413, "Request Entity Too Large")
	if f.invoked {
		t.Error("invoked with too large a body")
	}
}

func TestTheHeadLimit(t *testing.T) {
	t.Parallel()
	f := &function{payload: `{}`}
	h := handler(t, apigateway.Config{Function: f})
	request := func(query, header int) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/webhook?token="+strings.Repeat("a", query), nil)
		r.Header.Set("X-Thing", strings.Repeat("b", header))
		return r
	}
	if w := serve(h, request(5000, 5000)); w.Code != 200 {
		t.Errorf("just under the limit: %d", w.Code)
	}
	for _, r := range []*http.Request{request(10240, 1), request(1, 10240), request(5200, 5200)} {
		wantMessage(t, serve(h, r), 431, "Request Header Fields Too Large")
	}
}

// slow answers when its context ends, as a function that takes for ever.
type slow struct{}

func (slow) Invoke(ctx context.Context, _ []byte) (lambda.Result, error) {
	<-ctx.Done()
	return lambda.Result{}, context.Cause(ctx)
}

func TestTheIntegrationTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		// A client that hangs up does not end the invocation.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := serve(handler(t, apigateway.Config{Function: slow{}}), post("{}").WithContext(ctx))
		wantMessage(t, w, 503, "Service Unavailable")
		if took := time.Since(begun); took != 30*time.Second {
			t.Errorf("answered after %v", took)
		}
	})
}

func TestHandlerRefuses(t *testing.T) {
	t.Parallel()
	for _, cfg := range []apigateway.Config{
		{Route: "POST /webhook"},
		{Route: "/webhook", Function: slow{}},
		{Route: "POST webhook", Function: slow{}},
		{Route: "POST /{proxy+}", Function: slow{}},
		{Route: "", Function: slow{}},
	} {
		if _, err := apigateway.Handler(cfg); err == nil {
			t.Errorf("took %+v", cfg)
		}
	}
}
