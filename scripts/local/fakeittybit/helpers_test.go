package fakeittybit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ittybit-media/scripts/local/fakeittybit"
)

const apiKey = "ittybit_test_key"

// api is a fake behind a socket.
type api struct {
	*fakeittybit.Server
	t   *testing.T
	url string
}

func serve(t *testing.T, opts fakeittybit.Options) *api {
	t.Helper()
	s := start(t, opts)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(func() { closeIt(t, s) }) // first, or hanging requests would hold up the other
	return &api{s, t, server.URL}
}

func start(t *testing.T, opts fakeittybit.Options) *fakeittybit.Server {
	t.Helper()
	if opts.Keys == nil {
		opts.Keys = []string{apiKey}
	}
	s, err := fakeittybit.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeIt(t *testing.T, s *fakeittybit.Server) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// reply is a response that was read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) object(t *testing.T) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(r.body, &object); err != nil {
		t.Fatalf("the answer %q is no JSON object: %v", r.body, err)
	}
	return object
}

// want checks a refusal.
func (r reply) want(t *testing.T, status int, kind string) {
	t.Helper()
	o := r.object(t)
	if r.status != status || o["kind"] != kind {
		t.Errorf("got %d %s, want %d with kind %q", r.status, r.body, status, kind)
	}
	if message, _ := o["message"].(string); message == "" {
		t.Errorf("the refusal %s has no message", r.body)
	}
}

// A connection for each request: on a connection that was used before, Go's
// client would repeat requests by itself.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (a *api) try(ctx context.Context, method, path, body string, headers ...string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Authorization", "Bearer "+apiKey)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, data}, err
}

func (a *api) do(method, path, body string, headers ...string) reply {
	a.t.Helper()
	r, err := a.try(a.t.Context(), method, path, body, headers...)
	if err != nil {
		a.t.Fatal(err)
	}
	return r
}

func (a *api) post(body string, headers ...string) reply {
	a.t.Helper()
	return a.do(http.MethodPost, "/jobs", body, headers...)
}

// create makes a job that must be accepted, and returns its id.
func (a *api) create(body string) string {
	a.t.Helper()
	r := a.post(body)
	if r.status != http.StatusCreated {
		a.t.Fatalf("POST %s: %d %s, want 201", body, r.status, r.body)
	}
	return r.object(a.t)["id"].(string)
}

func (a *api) wait() {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), time.Minute)
	defer cancel()
	if err := a.Wait(ctx); err != nil {
		a.t.Fatal(err)
	}
}

// job is what became of a job.
func (a *api) job(id string) fakeittybit.Job {
	a.t.Helper()
	a.wait()
	for _, j := range a.Jobs() {
		if j.ID == id {
			return j
		}
	}
	a.t.Fatalf("there is no job %s", id)
	return fakeittybit.Job{}
}

// storage is S3 in a folder of files with plain names.
type storage struct {
	dir string

	mu      sync.Mutex
	objects map[string]string // bucket/key to path
	open    int
}

func newStorage(t *testing.T) *storage {
	return &storage{dir: t.TempDir(), objects: map[string]string{}}
}

func (s *storage) Open(_ context.Context, bucket, key string) (string, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, ok := s.objects[bucket+"/"+key]
	if !ok {
		return "", nil, fs.ErrNotExist
	}
	s.open++
	return path, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
	}, nil
}

func (s *storage) Put(_ context.Context, bucket, key, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return s.set(bucket, key, data)
}

func (s *storage) set(bucket, key string, data []byte) error {
	file, err := os.CreateTemp(s.dir, "object-*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err := file.Close(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[bucket+"/"+key] = file.Name()
	return err
}

func (s *storage) add(t *testing.T, bucket, key string, data []byte) {
	t.Helper()
	if err := s.set(bucket, key, data); err != nil {
		t.Fatal(err)
	}
}

func (s *storage) get(bucket, key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, _ := os.ReadFile(s.objects[bucket+"/"+key])
	return data
}

func (s *storage) stillOpen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func sample(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "sample.mov"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// inbox receives callbacks.
type inbox struct {
	url  string
	got  chan received
	mu   sync.Mutex
	next []int // statuses to answer with, then 200
}

type received struct {
	query     string
	signature string
	body      []byte
	root      map[string]any
}

func newInbox(t *testing.T, statuses ...int) *inbox {
	in := &inbox{got: make(chan received, 1000), next: statuses}
	server := httptest.NewServer(in)
	t.Cleanup(server.Close)
	in.url = server.URL + "/webhook?token=a.b-c_d&x=1%2F2"
	return in
}

func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var root map[string]any
	_ = json.NewDecoder(bytes.NewReader(body)).Decode(&root)
	in.mu.Lock()
	status := http.StatusOK
	if len(in.next) > 0 {
		status, in.next = in.next[0], in.next[1:]
	}
	in.mu.Unlock()
	if status >= 300 && status < 400 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
	in.got <- received{r.URL.RawQuery, r.Header.Get(fakeittybit.SignatureHeader), body, root}
}

// fakeClock moves only when told to.
type fakeClock struct {
	asked chan time.Duration // what AfterFunc was called with

	mu      sync.Mutex
	now     time.Time
	waiting []waiting
}

type waiting struct {
	due time.Time
	f   func()
}

func newFakeClock() *fakeClock {
	return &fakeClock{
		asked: make(chan time.Duration, 10000),
		now:   time.Date(2026, 4, 3, 10, 0, 0, 0, time.UTC),
	}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) AfterFunc(d time.Duration, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, waiting{c.now.Add(d), f})
	c.asked <- d
}

func (c *fakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	var later []waiting
	for _, w := range c.waiting {
		if w.due.After(c.now) {
			later = append(later, w)
		} else {
			w.f()
		}
	}
	c.waiting = later
}
