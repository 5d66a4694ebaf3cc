package fakeittybit

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
	if link := p.link(s.base(r), query); link != "" {
		h.Set("Link", link)
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

// page is a part of a list, the newest job first.
type page struct {
	jobs  []Job
	limit int
	more  bool
}

// listParameters are those of the reference that the pipeline uses.
var listParameters = []string{"input", "limit", "order", "after"}

func (s *Server) page(query url.Values) (page, *answer) {
	p := page{limit: defaultPage}
	for name := range query {
		if !slices.Contains(listParameters, name) {
			return p, invalid("this fake does not know the parameter %q", name)
		}
	}
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return p, invalid("limit must be a number from 1 to %d", maxPage)
		}
		p.limit = n
	}
	if order := query.Get("order"); order != "" && order != "desc" {
		return p, invalid("this fake knows no order but desc")
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.ids
	if input := query.Get("input"); input != "" && !s.opts.ListIgnoresInput {
		ids = s.byInput[input]
	}
	end := len(ids)
	if id := query.Get("after"); id != "" {
		cursor := s.jobs[id]
		if cursor == nil {
			return p, invalid("after: there is no job %q", id)
		}
		end, _ = slices.BinarySearchFunc(ids, cursor.number, func(id string, number int) int { return cmp.Compare(s.jobs[id].number, number) })
	}
	begin := max(0, end-p.limit)
	for _, id := range slices.Backward(ids[begin:end]) {
		p.jobs = append(p.jobs, *s.jobs[id])
	}
	p.more = begin > 0
	return p, nil
}

// link is the Link header, "" without a next page
// (https://ittybit.com/api/pagination).
func (p page) link(base string, query url.Values) string {
	if !p.more {
		return ""
	}
	query.Set("after", p.jobs[len(p.jobs)-1].ID)
	return fmt.Sprintf("<%s/jobs?%s>; rel=\"next\"", base, query.Encode())
}
