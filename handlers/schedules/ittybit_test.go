package schedules_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ittybit-media/handlers/schedules"
)

// manners are what is not known of Ittybit: either may be so.
type manners struct {
	// Race: two requests with one key at the same moment may both make a job.
	Race bool
	// InProgress is the status for a request whose key another one, which is
	// still under way, has; 0: it counts as the first.
	InProgress int
	// OtherBody is the status for a known key with another body; 0: it gets the
	// job.
	OtherBody int
	// Bare: the list has no metadata.
	Bare bool
	// Refusals are further statuses for POST, as faults. From 500 on, the job may
	// have been made all the same.
	Refusals []int
}

// fake is Ittybit as a store. A job's id says what it is of, not when it was
// made, so that the order in which jobs are made does not show.
type fake struct {
	manners
	jobs []job          // by id
	uses map[string]use // by idempotency key
}

type job struct {
	ID        string            `json:"id"`
	Kind      string            `json:"kind"`
	Status    string            `json:"status"`
	Input     string            `json:"input"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	CreatedAt time.Time         `json:"created_at"`

	WebhookURL string `json:"webhook_url"`
}

type use struct{ body, id string }

func (f *fake) Key() string { return fmt.Sprint(*f) }

// Serve knows POST /jobs, GET /jobs?input=, GET /jobs/ID, and from the scenario
// itself POST /jobs/ID/STATUS, which moves a job on and returns it, and DELETE
// /keys, after which no idempotency key is known.
func (f *fake) Serve(c schedules.Call) []schedules.Outcome {
	u, err := url.Parse(c.URI)
	if err != nil {
		return []schedules.Outcome{{Response: refusal(http.StatusBadRequest)}}
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch {
	case c.Method == http.MethodHead: // a connection is opened ahead of the first call
		return []schedules.Outcome{{Response: schedules.Response{Status: http.StatusNotFound}, Constant: true}}
	case c.Method == http.MethodDelete:
		return []schedules.Outcome{{Response: schedules.Response{Status: http.StatusNoContent}, Store: &fake{manners: f.manners, jobs: f.jobs}}}
	case c.Method == http.MethodGet && len(parts) == 1:
		return []schedules.Outcome{{Response: f.list(u.Query().Get("input"))}}
	case c.Method == http.MethodGet:
		return []schedules.Outcome{{Response: f.get(parts[1])}}
	case len(parts) == 1:
		return f.create(c)
	}
	return []schedules.Outcome{f.move(parts[1], parts[2])}
}

func (f *fake) find(id string) int {
	return slices.IndexFunc(f.jobs, func(j job) bool { return j.ID == id })
}

func (f *fake) get(id string) schedules.Response {
	i := f.find(id)
	if i < 0 {
		return refusal(http.StatusNotFound)
	}
	return jsonResponse(http.StatusOK, f.jobs[i])
}

// list is the jobs of an input, the newest first.
func (f *fake) list(input string) schedules.Response {
	jobs := []job{}
	for _, j := range f.jobs {
		if input == "" || j.Input == input {
			if f.Bare {
				j.Metadata = nil
			}
			jobs = append(jobs, j)
		}
	}
	slices.SortStableFunc(jobs, func(a, b job) int { return b.CreatedAt.Compare(a.CreatedAt) })
	r := jsonResponse(http.StatusOK, jobs)
	r.Header.Set("Has-More", "false")
	return r
}

func (f *fake) create(c schedules.Call) []schedules.Outcome {
	usual := f.usual(c)
	all := []schedules.Outcome{usual}
	if made, ok := usual.Store.(*fake); ok && c.Twin {
		if f.Race {
			forgetful := *made
			forgetful.uses = f.uses
			all = append(all, schedules.Outcome{Response: usual.Response, Store: &forgetful, Note: "its twin makes another"})
		}
		if f.InProgress != 0 {
			all = append(all, schedules.Outcome{Response: refusal(f.InProgress), Note: "its twin is in progress"})
		}
	}
	for _, status := range f.Refusals {
		o := schedules.Outcome{Response: refusal(status), Note: fmt.Sprint(status), Fault: true}
		all = append(all, o)
		if status >= http.StatusInternalServerError && usual.Store != nil {
			o.Store, o.Note = usual.Store, fmt.Sprint("made, and ", status)
			all = append(all, o)
		}
	}
	return all
}

// usual is what comes of a request that nothing disturbs.
func (f *fake) usual(c schedules.Call) schedules.Outcome {
	if known, ok := f.uses[c.Key]; ok && c.Key != "" {
		if known.body != c.Body && f.OtherBody != 0 {
			return schedules.Outcome{Response: refusal(f.OtherBody)}
		}
		return schedules.Outcome{Response: f.get(known.id)}
	}
	var j job
	if json.Unmarshal([]byte(c.Body), &j) != nil {
		return schedules.Outcome{Response: refusal(http.StatusBadRequest)}
	}
	n := 1
	stem := fmt.Sprintf("job_%.4s_%s_%s_", j.Metadata["upload"], j.Metadata["job"], j.Metadata["attempt"])
	for f.find(fmt.Sprint(stem, n)) >= 0 {
		n++
	}
	j.ID, j.Status = fmt.Sprint(stem, n), "queued"
	j.CreatedAt = time.Date(2000, 1, 1, 0, 0, n, 0, time.UTC)
	after := f.with(j)
	if c.Key != "" {
		after.uses[c.Key] = use{c.Body, j.ID}
	}
	return schedules.Outcome{Response: jsonResponse(http.StatusCreated, j), Store: after}
}

// with returns the fake with a job added, or put in the place of an earlier
// one.
func (f *fake) with(j job) *fake {
	after := &fake{manners: f.manners, jobs: slices.Clone(f.jobs), uses: maps.Clone(f.uses)}
	if after.uses == nil {
		after.uses = map[string]use{}
	}
	at, found := slices.BinarySearchFunc(after.jobs, j, func(a, b job) int { return strings.Compare(a.ID, b.ID) })
	if found {
		after.jobs[at] = j
	} else {
		after.jobs = slices.Insert(after.jobs, at, j)
	}
	return after
}

func (f *fake) move(id, status string) schedules.Outcome {
	i := f.find(id)
	if i < 0 {
		return schedules.Outcome{Response: refusal(http.StatusNotFound)}
	}
	j := f.jobs[i]
	if j.Status == status {
		return schedules.Outcome{Response: f.get(id)}
	}
	j.Status = status
	return schedules.Outcome{Response: jsonResponse(http.StatusOK, j), Store: f.with(j)}
}

func refusal(status int) schedules.Response {
	kind := map[int]string{http.StatusNotFound: "job_not_found", http.StatusConflict: "idempotency_in_progress"}[status]
	return jsonResponse(status, map[string]any{"error": map[string]string{"code": kind, "message": "refused"}})
}

func (f *fake) Describe(c schedules.Call) string {
	text, _, _ := strings.Cut(c.Operation(), "?")
	var j job
	if json.Unmarshal([]byte(c.Body), &j) == nil && j.Metadata["job"] != "" {
		text += " " + j.Metadata["job"]
	}
	return text
}
