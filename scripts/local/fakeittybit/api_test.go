package fakeittybit_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"ittybit-media/scripts/local/fakeittybit"
)

const plainJob = `{"input":"s3://b/uploads/video.mov","kind":"video"}`

func TestAuthorization(t *testing.T) {
	t.Parallel()
	a := serve(t, fakeittybit.Options{Instant: true, Keys: []string{"old", "new"}})
	for _, c := range []struct{ header, kind string }{
		{"", "token_missing"},
		{"Bearer wrong", "token_invalid"},
		{"Bearer ", "token_invalid"},
		{"Basic old", "token_invalid"},
	} {
		for _, request := range [][2]string{{"POST", "/jobs"}, {"GET", "/jobs"}, {"GET", "/jobs/x"}} {
			a.do(request[0], request[1], plainJob, "Authorization", c.header).want(t, 401, c.kind)
		}
	}
	for _, key := range []string{"old", "new"} {
		if r := a.post(plainJob, "Authorization", "Bearer "+key); r.status != 201 {
			t.Errorf("key %q: %d %s, want 201", key, r.status, r.body)
		}
	}
	a.SetKeys("new", "newer")
	a.post(plainJob, "Authorization", "Bearer old").want(t, 401, "token_invalid")
	if r := a.post(plainJob, "Authorization", "bearer newer"); r.status != 201 {
		t.Errorf("after the rotation: %d %s, want 201", r.status, r.body)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	a := serve(t, fakeittybit.Options{Instant: true})
	for name, c := range map[string]struct{ body, says string }{
		"no JSON":             {`{"input":`, "JSON"},
		"two values":          {plainJob + `{}`, "after the JSON"},
		"a list":              {`[]`, "JSON"},
		"nothing":             {`null`, "input is missing"},
		"no input":            {`{"kind":"video"}`, "input is missing"},
		"an empty input":      {`{"input":"","kind":"video"}`, "input is missing"},
		"a number as input":   {`{"input":1,"kind":"video"}`, "input"},
		"another scheme":      {`{"input":"ftp://b/k","kind":"video"}`, "must begin with"},
		"no scheme":           {`{"input":"/etc/passwd","kind":"video"}`, "must begin with"},
		"file":                {`{"input":"file:///etc/passwd","kind":"video"}`, "must begin with"},
		"no key":              {`{"input":"s3://b","kind":"video"}`, "no object"},
		"an empty key":        {`{"input":"s3://b/","kind":"video"}`, "no object"},
		"no kind":             {`{"input":"s3://b/k"}`, "kind is missing"},
		"an unknown kind":     {`{"input":"s3://b/k","kind":"nsfw"}`, "adaptive_video, animation, audio, image, video"},
		"quality in numbers":  {`{"input":"s3://b/k","kind":"video","options":{"quality":80}}`, "options.quality"},
		"an unknown format":   {`{"input":"s3://b/k","kind":"audio","options":{"format":"mp4"}}`, "options.format"},
		"too many frames":     {`{"input":"s3://b/k","kind":"video","options":{"fps":61}}`, "options.fps"},
		"the end at start":    {`{"input":"s3://b/k","kind":"video","options":{"start":2,"end":2}}`, "end"},
		"options as a list":   {`{"input":"s3://b/k","kind":"video","options":[]}`, "options"},
		"metadata of numbers": {`{"input":"s3://b/k","kind":"video","metadata":{"a":1}}`, "metadata"},
		"output elsewhere":    {`{"input":"s3://b/k","kind":"video","output":"https://x/y"}`, "output"},
		"output in no bucket": {`{"input":"s3://b/k","kind":"video","output":"s3:///y"}`, "output"},
		"output as a folder":  {`{"input":"s3://b/k","kind":"video","output":"s3://b/y/"}`, "output"},
		"a callback by http":  {`{"input":"s3://b/k","kind":"video","webhook_url":"http://example.com/"}`, "webhook_url"},
		"no callback URL":     {`{"input":"s3://b/k","kind":"video","webhook_url":"here"}`, "webhook_url"},
	} {
		t.Run(name, func(t *testing.T) {
			r := a.post(c.body)
			r.want(t, 400, "invalid_input")
			if !strings.Contains(string(r.body), c.says) {
				t.Errorf("%s does not say %q", r.body, c.says)
			}
		})
	}
	a.post(`{"input":"`+strings.Repeat("x", 2<<20)+`"}`).want(t, 413, "request_too_large")
	if jobs := a.Jobs(); len(jobs) != 0 {
		t.Errorf("refused requests made %d jobs", len(jobs))
	}
}

func TestTheConnectionThatThereIs(t *testing.T) {
	t.Parallel()
	const (
		none      = `{"input":"s3://b/k","kind":"video"}`
		inOptions = `{"input":"s3://b/k","kind":"video","options":{"connection_id":"ID"}}`
		atRoot    = `{"input":"s3://b/k","kind":"video","connection_id":"ID"}`
	)
	for name, c := range map[string]struct {
		connection fakeittybit.Connection
		body, id   string
		refused    string // what the refusal says; "": it is taken
	}{
		"unsaid":                  {fakeittybit.Connection{}, inOptions, "conn_no", ""},
		"in options":              {fakeittybit.Connection{ID: "conn_1", At: "options"}, inOptions, "conn_1", ""},
		"another in options":      {fakeittybit.Connection{ID: "conn_1", At: "options"}, inOptions, "conn_no", `no connection "conn_no"`},
		"at the root, not read":   {fakeittybit.Connection{ID: "conn_1", At: "options"}, atRoot, "conn_no", ""},
		"at the root, not known":  {fakeittybit.Connection{ID: "conn_1", At: "options", Strict: true}, atRoot, "conn_1", "not known"},
		"at the root":             {fakeittybit.Connection{ID: "conn_1", At: "root", Strict: true}, atRoot, "conn_1", ""},
		"another at the root":     {fakeittybit.Connection{ID: "conn_1", At: "root"}, atRoot, "conn_no", `no connection "conn_no"`},
		"none: Ittybit's default": {fakeittybit.Connection{ID: "conn_1", At: "root", Strict: true}, none, "", ""},
		"in options, not known":   {fakeittybit.Connection{ID: "conn_1", At: "root", Strict: true}, inOptions, "conn_1", "not known"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := serve(t, fakeittybit.Options{Instant: true, Connection: c.connection})
			r := a.post(strings.Replace(c.body, "ID", c.id, 1))
			switch {
			case c.refused == "" && r.status != 201:
				t.Errorf("%d %s", r.status, r.body)
			case c.refused != "":
				r.want(t, 400, "invalid_input")
				if message, _ := r.object(t)["message"].(string); !strings.Contains(message, c.refused) {
					t.Errorf("%q does not say %q", message, c.refused)
				}
			}
		})
	}
}

func TestOtherPaths(t *testing.T) {
	t.Parallel()
	a := serve(t, fakeittybit.Options{Instant: true})
	a.do("GET", "/jobs/job_nothing", "").want(t, 404, "job_not_found")
	a.do("GET", "/nothing", "").want(t, 404, "not_found")
	a.do("POST", "/tasks", "{}").want(t, 404, "not_found")
	a.do("DELETE", "/jobs", "").want(t, 405, "method_not_allowed")
	a.do("DELETE", "/jobs/job_x", "").want(t, 405, "method_not_allowed")
}

func TestJobObject(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	a := serve(t, fakeittybit.Options{
		Instant: true, Clock: clock, BaseURL: "https://store.test",
		Outcome: func(fakeittybit.Job) fakeittybit.Outcome {
			return fakeittybit.Outcome{Status: fakeittybit.Processing}
		},
	})
	r := a.post(`{
		"input": "s3://b/uploads/my video#1.mov", "kind": "video", "connection_id": "conn_1", "more": [1],
		"options": {"width": 1920, "connection_id": "conn_1", "quality": "high", "new_option": {"a": 1.50}},
		"metadata": {"source_key": "uploads/my video#1.mov"}
	}`)
	if r.status != 201 {
		t.Fatalf("%d %s, want 201", r.status, r.body)
	}
	made := r.object(t)
	id, _ := made["id"].(string)
	if !regexp.MustCompile(`^job_[0-7][0-9a-hjkmnp-tv-z]{25}$`).MatchString(id) {
		t.Errorf("id %q is no TypeID of a job", id)
	}
	const now = 1775210400000.0
	want := map[string]any{
		"id": id, "object": "job", "kind": "video", "input": "s3://b/uploads/my video#1.mov",
		"output": nil, "error": nil, "tasks": []any{},
		"options":    map[string]any{"width": 1920.0, "connection_id": "conn_1", "quality": "high", "new_option": map[string]any{"a": 1.5}},
		"metadata":   map[string]any{"source_key": "uploads/my video#1.mov"},
		"status":     "queued",
		"created_at": now, "updated_at": now, "started_at": nil, "finished_at": nil,
	}
	if !reflect.DeepEqual(made, want) {
		t.Errorf("POST gave\n%v, want\n%v", made, want)
	}

	clock.Advance(4 * time.Second)
	// Finished from outside: the work may not even have begun.
	if err := a.Finish(id, fakeittybit.Outcome{Status: fakeittybit.Succeeded}); err != nil {
		t.Fatal(err)
	}
	want["output"] = "https://store.test/outputs/" + id + "/my%20video%231.mp4"
	want["status"] = "succeeded"
	want["finished_at"], want["updated_at"] = now+4000, now+4000
	got := a.do("GET", "/jobs/"+id, "").object(t)
	want["started_at"] = got["started_at"] // before or after: as it happened
	if !reflect.DeepEqual(got, want) {
		t.Errorf("GET gave\n%v, want\n%v", got, want)
	}
	if err := a.Finish(id, fakeittybit.Outcome{Status: fakeittybit.Failed}); err == nil {
		t.Error("a final job could be finished again")
	}
	if err := a.Finish(id, fakeittybit.Outcome{Status: fakeittybit.Processing}); err == nil {
		t.Error("a job could be finished as processing")
	}
}

func TestEmptyOptionsAndMetadataAreObjects(t *testing.T) {
	t.Parallel()
	a := serve(t, fakeittybit.Options{Instant: true})
	o := a.post(plainJob).object(t)
	for _, name := range []string{"options", "metadata"} {
		if got, ok := o[name].(map[string]any); !ok || len(got) != 0 {
			t.Errorf("%s is %v, want {}", name, o[name])
		}
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		outcome fakeittybit.Outcome
		status  string
		message string
	}{
		{fakeittybit.Outcome{}, "succeeded", ""},
		{fakeittybit.Outcome{Status: fakeittybit.Cancelled}, "cancelled", ""},
		{fakeittybit.Outcome{Status: fakeittybit.Failed, Message: "no"}, "failed", "no"},
	} {
		a := serve(t, fakeittybit.Options{Instant: true, Outcome: func(fakeittybit.Job) fakeittybit.Outcome { return c.outcome }})
		id := a.create(plainJob)
		a.wait()
		o := a.do("GET", "/jobs/"+id, "").object(t)
		if o["status"] != c.status {
			t.Errorf("%+v: status %v, want %s", c.outcome, o["status"], c.status)
		}
		failure, _ := o["error"].(map[string]any)
		if message, _ := failure["message"].(string); message != c.message {
			t.Errorf("%+v: error %v, want message %q", c.outcome, o["error"], c.message)
		}
		if o["started_at"] == nil || o["finished_at"] == nil {
			t.Errorf("%+v: a final job without its times: %v", c.outcome, o)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	a := serve(t, fakeittybit.Options{Instant: true})
	var ids []string // newest first
	for i := range 25 {
		kind := []string{"video", "image"}[i%2]
		id := a.create(fmt.Sprintf(`{"input":"s3://b/%d","kind":%q,"metadata":{"n":"%d"}}`, i%5, kind, i))
		ids = append([]string{id}, ids...)
	}
	a.wait()

	for _, c := range []struct {
		query string
		want  []string
		more  string
	}{
		{"", ids[:20], "true"},
		{"?limit=100", ids, "false"},
		{"?limit=25", ids, "false"},
		{"?limit=3", ids[:3], "true"},
		{"?limit=3&after=" + ids[2], ids[3:6], "true"},
		{"?limit=3&after=" + ids[22], ids[23:], "false"},
		{"?limit=2&order=desc&after=" + ids[23], ids[24:], "false"},
		{"?input=s3://b/4", []string{ids[0], ids[5], ids[10], ids[15], ids[20]}, "false"},
		{"?input=s3://b/4&limit=2&after=" + ids[5], []string{ids[10], ids[15]}, "true"},
		{"?input=s3://b/nothing", []string{}, "false"},
	} {
		r := a.do("GET", "/jobs"+c.query, "")
		if got := listed(t, r); !reflect.DeepEqual(got, c.want) {
			t.Errorf("GET /jobs%s: %v, want %v", c.query, got, c.want)
		}
		if got := r.header.Get("Has-More"); got != c.more {
			t.Errorf("GET /jobs%s: Has-More %s, want %s", c.query, got, c.more)
		}
	}
	if r := a.do("GET", "/jobs", ""); r.header.Get("Limit") != "20" {
		t.Errorf("Limit: %q, want 20", r.header.Get("Limit"))
	}
	for _, bad := range []string{"limit=0", "limit=101", "limit=x", "order=asc", "after=job_x", "before=job_x", "status=queued", "kind=video"} {
		a.do("GET", "/jobs?"+bad, "").want(t, 400, "invalid_input")
	}

	t.Run("following the links", func(t *testing.T) {
		next := regexp.MustCompile(`<([^>]*)>; rel="next"`)
		var got []string
		for path := "/jobs?limit=4"; path != ""; {
			r := a.do("GET", path, "")
			got = append(got, listed(t, r)...)
			path = ""
			if m := next.FindStringSubmatch(r.header.Get("Link")); m != nil {
				path = strings.TrimPrefix(m[1], a.url)
			}
		}
		if !reflect.DeepEqual(got, ids) {
			t.Errorf("got %v, want %v", got, ids)
		}
	})
}

func TestListMisbehaves(t *testing.T) {
	t.Parallel()
	a := serve(t, fakeittybit.Options{Instant: true, ListIgnoresInput: true, ListOmitsMetadata: true})
	one := a.create(`{"input":"s3://b/1","kind":"video","metadata":{"a":"b"}}`)
	two := a.create(`{"input":"s3://b/2","kind":"video"}`)
	r := a.do("GET", "/jobs?input=s3://b/1", "")
	if got, want := listed(t, r), []string{two, one}; !reflect.DeepEqual(got, want) {
		t.Errorf("the list has %v, want %v", got, want)
	}
	if strings.Contains(string(r.body), `"a":"b"`) {
		t.Errorf("the list has metadata: %s", r.body)
	}
	if got := a.do("GET", "/jobs/"+one, "").object(t)["metadata"]; !reflect.DeepEqual(got, map[string]any{"a": "b"}) {
		t.Errorf("the job itself has metadata %v", got)
	}
}

func listed(t *testing.T, r reply) []string {
	t.Helper()
	var jobs []struct{ ID string }
	if err := json.Unmarshal(r.body, &jobs); err != nil || jobs == nil || r.status != http.StatusOK {
		t.Fatalf("%d %s is no list: %v", r.status, r.body, err)
	}
	ids := make([]string, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	return ids
}
