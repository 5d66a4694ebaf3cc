package page

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
)

type noteView struct {
	At, From, Text string
	Bad            bool
}

type jobView struct {
	Name, State, Error string
	Attempt            int
	Request, Callback  string
	Calls              int
	Rows               []string
	Kind               string // of the preview: image, video, audio, link; "": none
	URL                string
	Legs               []string
}

// details is all that is known of an upload.
func (p *Page) details(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.PathValue("id"))
	p.readRows(r)
	u := p.board.one(id)
	if u == nil {
		http.Error(w, "this upload is not kept any more", http.StatusNotFound)
		return
	}
	items, err := p.items(r, u.upload.Key)
	if err != nil {
		http.Error(w, media.Redact(err.Error()), http.StatusInternalServerError)
		return
	}
	view := struct {
		line
		Event   string
		Notes   []noteView
		Omitted int
		Jobs    []jobView
		Other   []string // rows that are no job's
	}{line: p.line(u), Event: pretty(u.event), Omitted: u.omitted}
	t0 := u.notes[0].at
	for _, n := range u.notes {
		view.Notes = append(view.Notes, noteView{"+" + short(n.at.Sub(t0)), n.from, n.text, n.bad})
	}
	taken := map[int]bool{}
	for _, j := range u.jobs {
		v := jobView{Name: j.name, Attempt: j.attempt, State: cmp.Or(j.state, string(j.status), "not made yet"), Error: j.err, Request: pretty(j.request), Callback: pretty(j.callback), Calls: j.calls}
		for i, item := range items {
			if item.is(u.identity, j.name) {
				taken[i] = true
				v.Rows = append(v.Rows, item.text)
			}
		}
		if v.URL = p.outputURL(*j); v.URL != "" {
			v.Kind = preview(u.route, j.name)
		}
		v.Legs = legs(j)
		view.Jobs = append(view.Jobs, v)
	}
	for i, item := range items {
		if !taken[i] && item.is(u.identity, "") {
			view.Other = append(view.Other, item.text)
		}
	}
	p.write(w, "details", view)
}

// legs are the times that a job took from one stage to the next.
func legs(j *job) []string {
	var all []string
	leg := func(name string, from, to time.Time) {
		if !from.IsZero() && !to.IsZero() && !to.Before(from) {
			all = append(all, name+" "+short(to.Sub(from)))
		}
	}
	leg("accepted", j.requested, j.created)
	leg("queued", j.created, j.started)
	leg("processing", j.started, j.finished)
	leg("callback", j.finished, j.called)
	return all
}

// preview is how a browser shows the output of a job.
func preview(route media.Route, name string) string {
	for _, j := range route.Jobs {
		if j.Name != name {
			continue
		}
		switch j.Kind {
		case "image", "animation":
			return "image"
		case "video", "audio":
			return j.Kind
		}
	}
	return "link"
}

// item is a row as DynamoDB holds it.
type item struct {
	values map[string]map[string]any
	text   string
}

func (i item) is(upload, job string) bool {
	return i.values["upload"]["S"] == upload && (job == "" && i.values["job"] == nil || i.values["job"]["S"] == job)
}

// items are the rows of a key, in DynamoDB's own JSON: the SDK's types would
// not show it.
func (p *Page) items(r *http.Request, key string) ([]item, error) {
	query, err := json.Marshal(map[string]any{
		"TableName":                 p.pipeline.Table,
		"KeyConditionExpression":    results.PartitionKey + " = :pk",
		"ExpressionAttributeValues": map[string]any{":pk": map[string]string{"S": key}},
		"ConsistentRead":            true,
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, p.pipeline.Access().AWSURL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Amz-Target", "DynamoDB_20120810.Query")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct{ Items []json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("the local DynamoDB answers %s", response.Status), err)
	}
	items := make([]item, len(answer.Items))
	for i, raw := range answer.Items {
		items[i].text = pretty(raw)
		if err := json.Unmarshal(raw, &items[i].values); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// pretty is JSON for people, without tokens.
func pretty(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	var b bytes.Buffer
	if json.Indent(&b, data, "", "  ") != nil {
		return media.Mask(string(data))
	}
	return media.Mask(b.String())
}
