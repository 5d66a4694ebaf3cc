package fakeittybit

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Of lists (https://ittybit.com/api/list-jobs).
const (
	defaultPage = 20
	maxPage     = 100
)

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.Lock()
	var found Job
	j, ok := s.jobs[id]
	if ok {
		found = *j
	}
	s.mu.Unlock()
	if s.faulty(w, r, Request{Op: Get, Input: found.Input, Kind: found.Kind, JobID: id}) {
		return
	}
	if !ok {
		refuse(w, http.StatusNotFound, "job_not_found", "there is no job "+strconv.Quote(id))
		return
	}
	respond(http.StatusOK, found.object()).write(w)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if s.faulty(w, r, Request{Op: List, Input: query.Get("input"), Kind: query.Get("kind")}) {
		return
	}
	p, bad := s.page(query)
	if bad != nil {
		bad.write(w)
		return
	}
	objects := make([]jobObject, len(p.jobs))
	for i, j := range p.jobs {
		objects[i] = j.object()
		if s.opts.ListOmitsMetadata {
			objects[i].Metadata = map[string]string{}
		}
	}
	h := w.Header()
	h.Set("Limit", strconv.Itoa(p.limit))
	h.Set("Has-More", strconv.FormatBool(p.more))
	if links := p.links(s.base(r), query); links != "" {
		h.Set("Link", links)
	}
	respond(http.StatusOK, objects).write(w)
}

// faulty reports whether a fault took the place of the answer.
func (s *Server) faulty(w http.ResponseWriter, r *http.Request, request Request) bool {
	fault := s.fault(request)
	s.sleep(r.Context(), fault.Delay)
	if fault.spoils() {
		s.spoil(w, r, fault)
		return true
	}
	return false
}

// page is a part of a list.
type page struct {
	jobs  []Job
	limit int
	more  bool // on the side that was asked for
	// earlier and later: there is something on that side in the list's order.
	earlier, later bool
}

func (s *Server) page(query url.Values) (page, *answer) {
	p := page{limit: defaultPage}
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return p, invalid("limit must be a number from 1 to %d", maxPage)
		}
		p.limit = n
	}
	order := query.Get("order")
	if order != "" && order != "asc" && order != "desc" {
		return p, invalid("order must be asc or desc")
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	matching := s.matching(query)
	// precedes is the list's order.
	precedes := func(a, b *Job) bool { return a.number < b.number }
	if order != "asc" {
		slices.Reverse(matching)
		precedes = func(a, b *Job) bool { return a.number > b.number }
	}

	from, to := 0, len(matching)
	if id := query.Get("after"); id != "" {
		cursor := s.jobs[id]
		if cursor == nil {
			return p, invalid("after: there is no job %q", id)
		}
		from = position(matching, func(j *Job) bool { return precedes(cursor, j) })
	}
	if id := query.Get("before"); id != "" {
		cursor := s.jobs[id]
		if cursor == nil {
			return p, invalid("before: there is no job %q", id)
		}
		to = position(matching, func(j *Job) bool { return !precedes(j, cursor) })
	}
	from = min(from, to)
	p.more = to-from > p.limit
	if query.Get("before") != "" && query.Get("after") == "" {
		from = max(from, to-p.limit) // the page that ends at the cursor
	} else {
		to = min(to, from+p.limit)
	}
	p.earlier, p.later = from > 0, to < len(matching)
	for _, j := range matching[from:to] {
		p.jobs = append(p.jobs, *j)
	}
	return p, nil
}

// matching are the jobs that are asked for, in the order of their creation; s.mu
// is held.
func (s *Server) matching(query url.Values) []*Job {
	ids := s.ids
	if input := query.Get("input"); input != "" && !s.opts.ListIgnoresInput {
		ids = s.byInput[input]
	}
	var matching []*Job
	for _, id := range ids {
		if j := s.jobs[id]; fits(query.Get("status"), string(j.Status)) && fits(query.Get("kind"), j.Kind) {
			matching = append(matching, j)
		}
	}
	return matching
}

// position is the index of the first job that is so, or the end.
func position(jobs []*Job, is func(*Job) bool) int {
	if i := slices.IndexFunc(jobs, is); i >= 0 {
		return i
	}
	return len(jobs)
}

func fits(wanted, value string) bool { return wanted == "" || wanted == value }

// links is the Link header (https://ittybit.com/api/pagination).
func (p page) links(base string, query url.Values) string {
	if len(p.jobs) == 0 {
		return ""
	}
	var links []string
	add := func(relation, cursor, id string) {
		q := url.Values{}
		for name, values := range query {
			if name != "after" && name != "before" {
				q[name] = values
			}
		}
		q.Set(cursor, id)
		links = append(links, fmt.Sprintf("<%s/jobs?%s>; rel=%q", base, q.Encode(), relation))
	}
	if p.earlier {
		add("prev", "before", p.jobs[0].ID)
	}
	if p.later {
		add("next", "after", p.jobs[len(p.jobs)-1].ID)
	}
	return strings.Join(links, ", ")
}
