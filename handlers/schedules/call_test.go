package schedules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Call is what a store gets to see of a request. Equal calls get equal answers.
type Call struct {
	Service string // the first label of the host: which store is asked
	Method  string
	URI     string // path and query
	Target  string // X-Amz-Target, "" outside AWS
	Key     string // Idempotency-Key
	Bearer  string // the token of that scheme; AWS signatures are left out
	Body    string // JSON with its names in order, other content as it is
	// Twin: another request with the same Key is under way at the same time.
	Twin bool
}

// Operation names what is asked for: an AWS operation, or method and URI.
func (c Call) Operation() string {
	if _, operation, ok := strings.Cut(c.Target, "."); ok {
		return operation
	}
	return c.Method + " " + c.URI
}

func (c Call) String() string { return c.Service + " " + c.Operation() }

// readOnly reports whether the call cannot change a store.
func (c Call) readOnly() bool {
	operation := c.Operation()
	return slices.ContainsFunc([]string{"Get", "Query", "Scan", "Describe", http.MethodGet, http.MethodHead},
		func(verb string) bool { return strings.HasPrefix(operation, verb) })
}

// compare orders calls whatever the order in which goroutines made them.
func (c Call) compare(other Call) int {
	return strings.Compare(c.id(), other.id())
}

func (c *Call) id() string {
	return strings.Join([]string{c.Service, c.Method, c.URI, c.Target, c.Key, c.Bearer, c.Body}, "\x00")
}

func newCall(req *http.Request) (Call, error) {
	c := Call{
		Method: req.Method,
		URI:    req.URL.RequestURI(),
		Target: req.Header.Get("X-Amz-Target"),
		Key:    req.Header.Get("Idempotency-Key"),
	}
	c.Service, _, _ = strings.Cut(req.URL.Hostname(), ".")
	c.Bearer, _ = strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if c.Target != "" {
		c.Bearer = ""
	}
	if req.Body == nil {
		return c, nil
	}
	body, err := io.ReadAll(req.Body)
	c.Body = canonical(body)
	return c, err
}

// canonical writes JSON with the names of its objects in order: the AWS SDK
// writes them in the random order of Go's maps.
func canonical(body []byte) string {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return string(body)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return string(body)
	}
	return string(text)
}

// Response is an answer. The zero value is none: the request fails.
type Response struct {
	Status int
	Header http.Header
	Body   string
}

func (r Response) id() string {
	var b strings.Builder
	fmt.Fprintln(&b, r.Status)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintln(&b, name, r.Header[name])
	}
	return b.String() + r.Body
}

func (r Response) http(req *http.Request) (*http.Response, error) {
	if r.Status == 0 {
		return nil, errLost
	}
	header := r.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		Status: http.StatusText(r.Status), StatusCode: r.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(r.Body)), ContentLength: int64(len(r.Body)),
		Request: req,
	}, nil
}

// Store is something outside that processes call. It is a value: a call does not
// change it but gives another one.
type Store interface {
	// Serve returns the possible outcomes of a call, the usual one first. It must
	// say the same whenever it is asked.
	Serve(Call) []Outcome
	// Key identifies what the store holds: those of equal keys behave alike.
	Key() string
}

// Outcome is one way in which a call can end.
type Outcome struct {
	Response Response
	Store    Store  // what the store is afterwards; nil: as before
	Note     string // in traces, what is special about it; "" for the usual one
	Fault    bool   // it takes from [Scenario.Faults]
	// Constant: nothing that a process of the scenario does changes the answer.
	Constant bool
}

// Describer is a store that can say in traces what a call is about.
type Describer interface {
	// Describe returns the call's operation and subject in a few words.
	Describe(Call) string
}
