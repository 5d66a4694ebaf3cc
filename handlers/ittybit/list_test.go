package ittybit_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ittybit-media/handlers/ittybit"
)

const wanted = "s3://b/uploads/a b,c+<é>.mov"

type listed struct {
	ID       string            `json:"id"`
	Input    string            `json:"input,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Created  int64             `json:"created_at,omitempty"`
}

// many are n jobs, the newest first, one a minute; want are of the wanted
// input.
func many(n int, want ...int) []listed {
	jobs := make([]listed, n)
	for i := range jobs {
		jobs[i] = listed{
			ID:       fmt.Sprintf("job_%d", i),
			Input:    fmt.Sprintf("s3://b/other/%d", i),
			Metadata: map[string]string{"job": "video"},
			Created:  newest.Add(-time.Duration(i) * time.Minute).UnixMilli(),
		}
		if slices.Contains(want, i) {
			jobs[i].Input = wanted
		}
	}
	return jobs
}

var newest = time.Date(2026, 4, 3, 10, 0, 0, 0, time.UTC)

// api is Ittybit's list, with the habits that it might have.
type api struct {
	jobs []listed

	filters    bool // by input
	pages      bool // by limit and after
	most       int  // jobs of a page, whatever the limit asks; 0: as asked
	hasMore    bool // says Has-More
	links      bool // says Link
	wraps      bool
	noMetadata bool // in the list
	noInput    bool // in the list
	gone       []string

	lists, gets atomic.Int32
}

func (s *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if id, ok := strings.CutPrefix(r.URL.Path, "/jobs/"); ok {
		s.gets.Add(1)
		i := slices.IndexFunc(s.jobs, func(j listed) bool { return j.ID == id })
		if slices.Contains(s.gone, id) || i < 0 {
			answers(404, `{"kind":"job_not_found","message":"no job"}`)(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(s.jobs[i])
		return
	}
	s.lists.Add(1)
	q := r.URL.Query()
	jobs := slices.Clone(s.jobs)
	if s.filters {
		jobs = slices.DeleteFunc(jobs, func(j listed) bool { return j.Input != q.Get("input") })
	}
	more := false
	if s.pages {
		if after := q.Get("after"); after != "" {
			jobs = jobs[slices.IndexFunc(jobs, func(j listed) bool { return j.ID == after })+1:]
		}
		limit, _ := strconv.Atoi(q.Get("limit"))
		if s.most > 0 {
			limit = min(limit, s.most)
		}
		if more = len(jobs) > limit; more {
			jobs = jobs[:limit]
		}
	}
	for i := range jobs {
		if s.noMetadata {
			jobs[i].Metadata = nil
		}
		if s.noInput {
			jobs[i].Input = ""
		}
	}
	if s.hasMore {
		w.Header().Set("Has-More", strconv.FormatBool(more))
	}
	if s.links {
		link := `<https://elsewhere.example/jobs?order=desc>; rel="first"`
		if more {
			next := url.Values{"after": {jobs[len(jobs)-1].ID}, "limit": {q.Get("limit")}, "input": {q.Get("input")}}
			link += `, <https://elsewhere.example/jobs?` + next.Encode() + `>; title=x; Rel="last next"`
		}
		w.Header().Set("Link", link)
	}
	var body any = jobs
	if s.wraps {
		body = map[string]any{"meta": map[string]any{}, "data": jobs}
	}
	_ = json.NewEncoder(w).Encode(body)
}

// find gives the ids of the wanted jobs.
func find(t *testing.T, c *ittybit.Client, since time.Time) ([]string, error) {
	t.Helper()
	var ids []string
	for j, err := range c.ByInput(t.Context(), wanted, since) {
		if err != nil {
			return ids, err
		}
		if j.Metadata["job"] != "video" {
			t.Errorf("%s has metadata %v", j.JobID, j.Metadata)
		}
		ids = append(ids, j.JobID)
	}
	return ids, nil
}

func TestByInput(t *testing.T) {
	t.Parallel()
	unordered := many(150, 3, 140)
	slices.Reverse(unordered)
	mixed := many(150, 3)
	mixed = []listed{mixed[0], mixed[120], mixed[1], mixed[121], mixed[3]}
	untimed := many(150, 3, 140)
	for i := range untimed {
		untimed[i].Created = 0
	}
	escaped := many(3, 1)
	escaped[1].Input = "s3://b/uploads/a%20b,c+%3C%C3%A9%3E.mov"
	tests := []struct {
		name  string
		api   *api
		since time.Time
		want  []string
		lists int32
		gets  int32
	}{
		{name: "as documented", api: &api{jobs: many(250, 3, 120, 240), filters: true, pages: true, hasMore: true, links: true},
			want: []string{"job_3", "job_120", "job_240"}, lists: 1},
		{name: "nothing there", api: &api{jobs: many(250), filters: true, pages: true, hasMore: true}, lists: 1},
		{name: "filter ignored, Has-More", api: &api{jobs: many(250, 3, 120, 240), pages: true, hasMore: true},
			want: []string{"job_3", "job_120", "job_240"}, lists: 3},
		{name: "filter ignored, links", api: &api{jobs: many(250, 3, 120, 240), pages: true, links: true},
			want: []string{"job_3", "job_120", "job_240"}, lists: 4}, // the last page has no link, and says nothing
		{name: "limit ignored, no word on pages", api: &api{jobs: many(50, 3, 44), pages: true, most: 20},
			want: []string{"job_3", "job_44"}, lists: 4},
		{name: "no pages at all", api: &api{jobs: many(60, 3, 44)}, want: []string{"job_3", "job_44"}, lists: 2},
		{name: "wrapped", api: &api{jobs: many(3, 1), wraps: true, pages: true, hasMore: true}, want: []string{"job_1"}, lists: 1},
		{name: "without metadata", api: &api{jobs: many(5, 1, 3), noMetadata: true, pages: true, hasMore: true},
			want: []string{"job_1", "job_3"}, lists: 1, gets: 2},
		{name: "without metadata, gone", api: &api{jobs: many(5, 1, 3), noMetadata: true, pages: true, hasMore: true, gone: []string{"job_1"}},
			want: []string{"job_3"}, lists: 1, gets: 2},
		{name: "without input and metadata", api: &api{jobs: many(5, 3), noInput: true, noMetadata: true, pages: true, hasMore: true},
			want: []string{"job_3"}, lists: 1, gets: 5},
		{name: "escaped input", api: &api{jobs: escaped, pages: true, hasMore: true}, want: []string{"job_1"}, lists: 1},
		{name: "older than the upload", api: &api{jobs: many(450, 3, 50, 90, 440), pages: true, hasMore: true}, since: newest.Add(-20 * time.Minute),
			want: []string{"job_3", "job_50"}, lists: 1},
		{name: "an hour of clock skew", api: &api{jobs: many(450, 3, 160), pages: true, hasMore: true}, since: newest.Add(-100 * time.Minute),
			want: []string{"job_3", "job_160"}, lists: 2},
		{name: "wrong order does not end early", api: &api{jobs: unordered, pages: true, hasMore: true}, since: newest.Add(-20 * time.Minute),
			want: []string{"job_3"}, lists: 2},
		{name: "no order does not end early", api: &api{jobs: mixed, pages: true, most: 4, hasMore: true}, since: newest.Add(-20 * time.Minute),
			want: []string{"job_3"}, lists: 2},
		{name: "without times does not end early", api: &api{jobs: untimed, pages: true, hasMore: true}, since: newest,
			want: []string{"job_3", "job_140"}, lists: 2},
		{name: "one old job does not end early", api: &api{jobs: slices.Concat(many(101, 100)[100:], many(3, 1)), pages: true, hasMore: true, most: 1}, since: newest,
			want: []string{"job_1"}, lists: 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := find(t, newClient(t, tt.api.ServeHTTP), tt.since)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
			if tt.api.lists.Load() != tt.lists || tt.api.gets.Load() != tt.gets {
				t.Errorf("%d pages and %d jobs were asked for, want %d and %d", tt.api.lists.Load(), tt.api.gets.Load(), tt.lists, tt.gets)
			}
		})
	}
}

// Listed hides none of the list's habits.
func TestListedIsWhatIttybitGives(t *testing.T) {
	t.Parallel()
	filters := &api{jobs: many(150, 3, 40), filters: true, pages: true}
	jobs, err := newClient(t, filters.ServeHTTP).Listed(t.Context(), wanted)
	if err != nil || len(jobs) != 2 || jobs[0].JobID != "job_3" || jobs[0].Input != wanted || jobs[0].Metadata["job"] != "video" {
		t.Errorf("%+v, %v", jobs, err)
	}
	ignores := &api{jobs: many(150, 3), pages: true, noMetadata: true, noInput: true}
	jobs, err = newClient(t, ignores.ServeHTTP).Listed(t.Context(), wanted)
	if err != nil || len(jobs) != 100 || jobs[3].JobID != "job_3" || jobs[3].Input != "" || jobs[3].Metadata != nil {
		t.Errorf("%d jobs, %v", len(jobs), err)
	}
	if ignores.lists.Load() != 1 || ignores.gets.Load() != 0 {
		t.Error("more was asked for than one page")
	}
}

func TestByInputAsksForTheInput(t *testing.T) {
	t.Parallel()
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		want := url.Values{"input": {wanted}, "limit": {"100"}, "order": {"desc"}}
		if r.Method != http.MethodGet || r.URL.Path != "/jobs" || r.URL.Query().Encode() != want.Encode() {
			t.Errorf("got %s %s", r.Method, r.URL)
		}
		w.Header().Set("Has-More", "false")
		answers(200, `[]`)(w, r)
	})
	if got, err := find(t, c, time.Time{}); err != nil || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestByInputStopsWhenTheCallerHasEnough(t *testing.T) {
	t.Parallel()
	s := &api{jobs: many(250, 3, 4), pages: true, hasMore: true}
	n := 0
	for range newClient(t, s.ServeHTTP).ByInput(t.Context(), wanted, time.Time{}) {
		n++
		break
	}
	if n != 1 || s.lists.Load() != 1 {
		t.Errorf("%d jobs of %d pages", n, s.lists.Load())
	}
}

// An incomplete list must never look like a complete one.
func TestByInputFails(t *testing.T) {
	t.Parallel()
	page := func(header, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(header, value)
			answers(200, body)(w, r)
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		kind    string
	}{
		{name: "endless", handler: (&api{jobs: many(6000), pages: true, hasMore: true}).ServeHTTP, kind: "endless_list"},
		{name: "stands still though there is more", handler: page("Has-More", "true", `[{"id":"job_1"}]`), kind: "endless_list"},
		{name: "stands still by its link", handler: page("Link", `</jobs?after=job_1>; rel=next`, `[{"id":"job_1"}]`), kind: "endless_list"},
		{name: "more after nothing", handler: page("Has-More", "true", `[]`), kind: "endless_list"},
		{name: "full and without pages", handler: (&api{jobs: many(100)}).ServeHTTP, kind: "endless_list"},
		{name: "no list", handler: answers(200, `{}`), kind: "malformed_answer"},
		{name: "null", handler: answers(200, `null`), kind: "malformed_answer"},
		{name: "null data", handler: answers(200, `{"data":null}`), kind: "malformed_answer"},
		{name: "a job", handler: answers(200, `{"id":"job_1","data":{}}`), kind: "malformed_answer"},
		{name: "HTML", handler: answers(200, `<html>`), kind: "malformed_answer"},
		{name: "job without id", handler: answers(200, `[{"id":"job_1","metadata":{"job":"video"}},{"input":"s3://b/k"}]`), kind: "malformed_answer"},
		{name: "text among jobs", handler: answers(200, `["job_1"]`), kind: "malformed_answer"},
		{name: "refused", handler: answers(403, `{"kind":"forbidden","message":"no"}`), kind: "forbidden"},
		{name: "job cannot be asked for", handler: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/jobs" {
				answers(200, `[{"id":"job_1"}]`)(w, r)
				return
			}
			answers(403, `{"kind":"forbidden","message":"no"}`)(w, r)
		}, kind: "forbidden"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			handler := tt.handler
			if tt.kind == "endless_list" { // their jobs need no metadata
				handler = withMetadata(handler)
			}
			_, err := find(t, newClient(t, handler), time.Time{})
			if e := asError(t, err); e.Kind != tt.kind || e.Permanent() {
				t.Errorf("got %v", e)
			}
		})
	}
}

// withMetadata answers for a single job too.
func withMetadata(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if id, ok := strings.CutPrefix(r.URL.Path, "/jobs/"); ok {
			answers(200, `{"id":"`+id+`","metadata":{"job":"video"}}`)(w, r)
			return
		}
		next(w, r)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		status int // of the error; -1: there is none
	}{
		"jobs":          {answer: (&api{jobs: many(3), pages: true}).ServeHTTP, status: -1},
		"no jobs":       {answer: answers(200, `[]`), status: -1},
		"wrong key":     {answer: answers(401, `{"kind":"token_invalid","message":"no"}`), status: 401},
		"somebody else": {answer: answers(200, `<html>Welcome</html>`), status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked url.Values
			err := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				asked = r.URL.Query()
				tt.answer(w, r)
			}).Check(t.Context())
			switch {
			case asked.Get("limit") != "1":
				t.Errorf("asked for %v", asked)
			case tt.status == -1 && err != nil, tt.status != -1 && (err == nil || asError(t, err).Status != tt.status):
				t.Error(err)
			}
		})
	}
}
