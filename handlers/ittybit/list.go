package ittybit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ittybit-media/handlers/media"
)

const (
	pageSize = 100 // the most that Ittybit gives (https://ittybit.com/api/list-jobs)
	maxPages = 50
	// clockSkew is how much earlier than an upload Ittybit may say that its job
	// was created.
	clockSkew = time.Hour
)

// ByInput lists the jobs that were made for an input, newest first, with their
// metadata. Jobs created clearly before since are left out, and end the list
// where it is in order; a zero since is unknown.
//
// It does not trust Ittybit to filter or to tell the metadata. The list either
// is complete or ends with an error, which is the last thing it gives; so a job
// that was not in a list without an error is not there.
func (c *Client) ByInput(ctx context.Context, input string, since time.Time) iter.Seq2[media.Result, error] {
	return func(yield func(media.Result, error) bool) {
		l := lister{client: c, input: input, seen: map[string]bool{}, ordered: true}
		if !since.IsZero() {
			l.oldest = since.Add(-clockSkew)
		}
		l.req = listRequest(jobsOf(input))
		if err := l.run(ctx, yield); err != nil {
			yield(media.Result{}, err)
		}
	}
}

// Check asks for a list of one job: nil when Ittybit answers as it should, and
// takes the key. What the call got as an answer is an [*Error].
func (c *Client) Check(ctx context.Context) error {
	_, err := c.page(ctx, listRequest(url.Values{"limit": {"1"}}))
	return err
}

// Listed is the first page of the list of an input's jobs just as Ittybit gives
// it, newest first: for those who want to know how far the list can be trusted.
func (c *Client) Listed(ctx context.Context, input string) ([]media.Result, error) {
	p, err := c.page(ctx, listRequest(jobsOf(input)))
	return p.jobs, err
}

// jobsOf asks for the jobs of an input, newest first.
func jobsOf(input string) url.Values {
	return url.Values{"input": {input}, "limit": {strconv.Itoa(pageSize)}, "order": {"desc"}}
}

func listRequest(query url.Values) request {
	return request{op: "list jobs", method: http.MethodGet, path: jobsPath, query: query, limit: maxPage}
}

type lister struct {
	client *Client
	req    request // of the next page
	input  string
	oldest time.Time // older jobs are of no interest

	seen        map[string]bool // ids
	first, last time.Time       // when the jobs seen first and last were created
	ordered     bool            // so far every job says when, and the newest came first
}

// run is nil at the end of the list, and when the caller wants no more of it.
func (l *lister) run(ctx context.Context, yield func(media.Result, error) bool) error {
	for range maxPages {
		p, err := l.client.page(ctx, l.req)
		if err != nil {
			return err
		}
		fresh := 0
		for _, j := range p.jobs {
			if l.seen[j.JobID] {
				continue
			}
			fresh++
			l.note(j)
			j, wanted, err := l.look(ctx, j)
			if err != nil {
				return err
			}
			if wanted && !yield(j, nil) {
				return nil
			}
		}
		if l.pastOldest() {
			return nil
		}
		query := p.next(l.req.query)
		if query == nil {
			return nil
		}
		if fresh == 0 {
			// Without a word on further pages, a short page that comes back is
			// all that there is: this list knows no pages.
			if p.more == unsaid && len(p.jobs) < pageSize {
				return nil
			}
			return l.endless("page after page has the same jobs")
		}
		l.req.query = query
	}
	return l.endless(fmt.Sprintf("there are more than %d pages of jobs", maxPages))
}

func (l *lister) endless(why string) *Error {
	return &Error{Op: l.req.op, Kind: kindEndless, Message: why + ": whether the job is there remains unknown"}
}

func (l *lister) note(j media.Result) {
	if len(l.seen) == 0 {
		l.first = j.CreatedAt
	} else if j.CreatedAt.After(l.last) {
		l.ordered = false
	}
	l.ordered = l.ordered && !j.CreatedAt.IsZero()
	l.last = j.CreatedAt
	l.seen[j.JobID] = true
}

// pastOldest reports whether all further jobs are too old. That the list is in
// order must show first, so one job alone is no proof.
func (l *lister) pastOldest() bool {
	return l.ordered && l.last.Before(l.first) && l.last.Before(l.oldest)
}

// look completes a job from a list, and reports whether it is wanted.
func (l *lister) look(ctx context.Context, j media.Result) (media.Result, bool, error) {
	wanted := func() bool {
		tooOld := !j.CreatedAt.IsZero() && j.CreatedAt.Before(l.oldest)
		return !tooOld && l.isInput(j.Input)
	}
	if !wanted() || len(j.Metadata) > 0 {
		return j, wanted(), nil
	}
	j, err := l.client.Get(ctx, j.JobID)
	if e, ok := errors.AsType[*Error](err); ok && e.NotFound() {
		return media.Result{}, false, nil // gone since the page was made
	}
	return j, err == nil && wanted(), err
}

// isInput takes a missing input for ours, and knows ours also when Ittybit
// escaped it.
func (l *lister) isInput(input string) bool {
	if input == "" || input == l.input {
		return true
	}
	plain, err := url.PathUnescape(input)
	return err == nil && plain == l.input
}

// page is one page of a list.
type page struct {
	jobs []media.Result
	more said
	link url.Values // of the next page, where Ittybit gave one
}

// said is what a page says of further ones.
type said int

const (
	unsaid said = iota
	saidYes
	saidNo
)

func (c *Client) page(ctx context.Context, req request) (page, error) {
	resp, err := c.call(ctx, req)
	if err != nil {
		return page{}, err
	}
	list := json.RawMessage(resp.body)
	var wrapped struct {
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(resp.body, &wrapped) == nil {
		list = wrapped.Data
	}
	var jobs []job
	if err := json.Unmarshal(list, &jobs); err != nil || jobs == nil {
		return page{}, req.malformed(resp, "it is not a list of jobs")
	}
	p := page{jobs: make([]media.Result, len(jobs)), link: nextLink(resp.header)}
	for i := range jobs {
		if p.jobs[i], _, err = jobs[i].result(""); err != nil {
			return page{}, req.malformed(resp, "job %d of the list: %v", i, err)
		}
	}
	hasMore, err := strconv.ParseBool(resp.header.Get("Has-More"))
	switch {
	case err == nil && !hasMore:
		p.more = saidNo
	case err == nil || p.link != nil:
		p.more = saidYes
	}
	return p, nil
}

// next is the query of the next page, nil when there is none. A list that says
// nothing of pages has another one until one is empty.
func (p page) next(query url.Values) url.Values {
	switch {
	case p.more == saidNo, p.more == unsaid && len(p.jobs) == 0:
		return nil
	case p.link != nil:
		return p.link
	case len(p.jobs) == 0:
		return query // the same again, which does not go on
	}
	query = maps.Clone(query)
	query.Set("after", p.jobs[len(p.jobs)-1].JobID)
	return query
}

// nextLink is the query of the link to the next page (RFC 8288), nil when there
// is none. The rest of the link is not used: the key goes nowhere else. By
// hand, as neither the standard library nor a module of this one's reads it.
func nextLink(h http.Header) url.Values {
	for _, value := range h.Values("Link") {
		for {
			_, rest, found := strings.Cut(value, "<")
			target, rest, closed := strings.Cut(rest, ">")
			if !found || !closed {
				break
			}
			parameters, _, _ := strings.Cut(rest, "<")
			value = rest
			if u, err := url.Parse(target); err == nil && isNext(parameters) && u.RawQuery != "" {
				return u.Query()
			}
		}
	}
	return nil
}

func isNext(parameters string) bool {
	for parameter := range strings.FieldsFuncSeq(parameters, func(r rune) bool { return r == ';' || r == ',' }) {
		name, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for relation := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(relation, "next") {
				return true
			}
		}
	}
	return false
}
