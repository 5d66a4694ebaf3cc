package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// front stands before a service and can answer in its place.
type front struct {
	URL  string
	next http.Handler

	mu      sync.Mutex
	answers map[string]http.HandlerFunc
	asked   []string
}

func newFront(t *testing.T, target string) *front {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{answers: map[string]http.HandlerFunc{}}
	f.next = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // signed
		},
		ErrorLog: log.New(io.Discard, "", 0), // of tests that end before the answer
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.URL = server.URL
	return f
}

// ServeHTTP knows a request by the operation that its X-Amz-Target names, or by
// its method with its path or the name of its parameter: "PUT ?notification".
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !ok {
		name = r.Method + " " + r.URL.Path
		for _, parameter := range []string{"notification", "versioning"} {
			if r.URL.Query().Has(parameter) {
				name = r.Method + " ?" + parameter
			}
		}
	}
	f.mu.Lock()
	f.asked = append(f.asked, name)
	answer := f.answers[name]
	f.mu.Unlock()
	if answer == nil {
		answer = f.next.ServeHTTP
	}
	answer(w, r)
}

func (f *front) answer(name string, answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[name] = answer
}

// count is how often an operation was asked for.
func (f *front) count(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, asked := range f.asked {
		if asked == name {
			n++
		}
	}
	return n
}

func says(status int, format string, args ...any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, format, args...)
	}
}

// fault is a refusal in the shape of AWS's JSON services. It quotes what was
// asked for, as AWS does.
func fault(code string) http.HandlerFunc {
	return says(http.StatusBadRequest, `{"__type":%q,"message":"no: %s"}`, code, apiKey)
}

// s3Fault is a refusal in the shape of S3's.
func s3Fault(status int, code string) http.HandlerFunc {
	return says(status, `<Error><Code>%s</Code><Message>no</Message></Error>`, code)
}

// stsFault is a refusal in the shape of STS's.
func stsFault(code string) http.HandlerFunc {
	return says(http.StatusForbidden, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error></ErrorResponse>`, code)
}

// signedFor tells for which region a request is signed.
func signedFor(r *http.Request, region string) bool {
	return strings.Contains(r.Header.Get("Authorization"), "/"+region+"/")
}
