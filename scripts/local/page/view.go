package page

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ittybit-media/handlers/event"
	"ittybit-media/handlers/media"
	"ittybit-media/scripts/local/fakeittybit"
)

// stage is one of the diagram's, as far as an upload has come.
type stage struct {
	Name string
	At   string // since the upload
	Text string
	Done bool
	Bad  bool
}

// badge is a job in a line.
type badge struct {
	Name, State string
	Attempt     int
}

// line is what the list says of an upload.
type line struct {
	ID     int
	Key    string
	Size   string
	Stages []stage
	Jobs   []badge
	Says   string
	Bad    bool
	Over   bool
}

func (p *Page) line(u *upload) line {
	return line{ID: u.id, Key: u.upload.Key, Size: size(u.upload.Size), Stages: u.stages(), Jobs: u.badges(), Says: u.trouble(), Bad: u.bad(), Over: u.over()}
}

func (u *upload) stages() []stage {
	t0 := u.notes[0].at
	since := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return "+" + short(t.Sub(t0))
	}
	route := stage{Name: "route", Done: u.matched && u.reason == "", Bad: u.reason != ""}
	if u.matched {
		route.Text = cmp.Or(u.route.Prefix, "every key")
	}
	created, started, called, stored := stage{Name: "job"}, stage{Name: "processing"}, stage{Name: "callback"}, stage{Name: "row"}
	var at [4]time.Time
	var done [4]int
	for _, j := range u.jobs {
		for i, t := range []time.Time{j.created, j.started, j.called, j.stored} {
			if !t.IsZero() && (i != 3 || final(j.state)) {
				done[i]++
				if t.After(at[i]) {
					at[i] = t
				}
			}
		}
		if j.calls > 0 && (j.answer < 200 || j.answer > 299) {
			called.Bad = true
		}
		if final(j.state) && j.state != media.Succeeded.String() {
			stored.Bad = true
		}
	}
	for i, s := range []*stage{&created, &started, &called, &stored} {
		s.At, s.Done = since(at[i]), len(u.jobs) > 0 && done[i] == len(u.jobs)
		if done[i] > 0 && !s.Done {
			s.Text = fmt.Sprintf("%d of %d", done[i], len(u.jobs))
		}
	}
	if u.rejected != "" {
		stored = stage{Name: "row", Text: media.Rejected, Done: true, Bad: true}
	}
	return []stage{{Name: "event", At: t0.Format("15:04:05.000"), Done: true}, route, created, started, called, stored}
}

func (u *upload) badges() []badge {
	var all []badge
	for _, j := range u.jobs {
		state := cmp.Or(j.state, string(j.status))
		if j.status == fakeittybit.Processing && !final(j.state) {
			state = string(j.status)
		}
		if state == "" && u.reason != "" {
			continue // never will be
		}
		all = append(all, badge{j.name, cmp.Or(state, "…"), j.attempt})
	}
	return all
}

func final(state string) bool {
	switch state {
	case media.Succeeded.String(), media.Failed.String(), media.Cancelled.String(), media.Rejected:
		return true
	}
	return false
}

// over reports whether nothing more is to come.
func (u *upload) over() bool {
	if u.dead || u.rejected != "" {
		return true
	}
	if u.reason != "" && (len(u.jobs) == 0 || u.jobs[0].id == "") {
		return true
	}
	for _, j := range u.jobs {
		if !final(j.state) {
			return false
		}
	}
	return len(u.jobs) > 0
}

// bad reports whether something is wrong that a person should look at.
func (u *upload) bad() bool {
	if u.dead || u.waiting || u.rejected != "" {
		return true
	}
	for _, j := range u.jobs {
		if final(j.state) && j.state != media.Succeeded.String() {
			return true
		}
	}
	return false
}

// trouble says in a line what keeps the upload from its results.
func (u *upload) trouble() string {
	switch {
	case u.dead:
		return "in the dead letters: given up after three days"
	case u.rejected != "":
		return "rejected: " + u.rejected
	case u.waiting:
		return fmt.Sprintf("in the retry queue, tried %d times from there: let a minute pass for the first try, then 15 each", u.tries)
	}
	for _, j := range u.jobs {
		if j.err != "" {
			return j.name + ": " + j.err
		}
	}
	return u.reason
}

// says is what is read out of an upload when it is over or in trouble.
func (u *upload) says() string {
	switch trouble := u.trouble(); {
	case u.bad() && trouble != "":
		return u.upload.Key + ": " + trouble
	case u.over() && u.reason == "":
		return u.upload.Key + ": all jobs succeeded"
	}
	return ""
}

// box is a part of the diagram, with what is in it now.
type box struct {
	ID, Name, Text string
	Bad            bool
}

type switchView struct {
	Name, Label string
	Choices     []choiceView
	Off         bool // not as it ought to be
}

type choiceView struct {
	choice
	On bool
}

type status struct {
	Boxes  []box
	News   []string
	Hidden int // uploads that are not listed
	Dead   []deadLetter
}

type deadLetter struct{ Key, At string }

// maxDead bounds the dead letters that are listed.
const maxDead = 20

func (p *Page) status() status {
	t, news := p.board.counts()
	retry, dead := p.pipeline.RetryQueue.Depth(), p.pipeline.DeadLetter.Depth()
	dispatch := p.pipeline.Dispatch.Stats()
	waiting := retry.Visible + retry.InFlight + retry.Delayed
	s := status{
		News:   news,
		Hidden: max(0, t.uploads-shown),
		Boxes: []box{
			{"s3", "S3", plural(t.uploads, "upload"), false},
			{"rule", "EventBridge rule", fmt.Sprintf("%d matched", t.matched), false},
			{"dispatch", "dispatch", fmt.Sprintf("%d working, %d queued", dispatch.Busy, dispatch.Queued), false},
			{"ittybit", "Ittybit", plural(t.jobs, "job"), p.switches.broken()},
			{"gateway", "API Gateway", fmt.Sprintf("%s, %d not taken", plural(t.callbacks, "callback"), t.refused), t.refused > 0},
			{"table", "DynamoDB", fmt.Sprintf("%d final, %d rejected", t.rows, t.rejected), t.rejected > 0},
			{"retry", "retry queue", fmt.Sprintf("%d waiting", waiting), waiting > 0},
			{"dead", "dead letters", strconv.Itoa(dead.Visible + dead.InFlight), dead.Visible+dead.InFlight > 0},
		},
	}
	for i, m := range p.pipeline.DeadLetter.Messages() {
		if i == maxDead {
			break
		}
		s.Dead = append(s.Dead, deadLetter{keyOf(m.Body), m.SentAt.Format(time.DateTime)})
	}
	return s
}

func (p *Page) switchViews() []switchView {
	var views []switchView
	for _, w := range switchesAre {
		v := switchView{Name: w.Name, Label: w.Label}
		at := p.switches.get(w.Name)
		for _, c := range w.Choices {
			v.Choices = append(v.Choices, choiceView{c, c.Value == at})
		}
		v.Off = at != w.Choices[0].Value
		views = append(views, v)
	}
	return views
}

// keyOf is the key of a message's upload.
func keyOf(message string) string {
	return cmp.Or(event.DecodeMessage([]byte(message)).Request.Upload.Key, "unreadable")
}

// index is the whole page as it is now.
func (p *Page) index(w http.ResponseWriter, r *http.Request) {
	p.readRows(r)
	uploads, seq := p.board.since(0, shown)
	view := struct {
		Seq        uint64
		Uploads    []line
		Status     status
		Switches   []switchView
		Routes     media.Routes
		FFmpeg     bool
		S3, Bucket string
	}{Seq: seq, Status: p.status(), Switches: p.switchViews(), Routes: p.options.Routes, FFmpeg: p.options.FFmpeg, S3: p.pipeline.S3URL, Bucket: p.pipeline.Bucket}
	for i := len(uploads) - 1; i >= 0; i-- {
		view.Uploads = append(view.Uploads, p.line(uploads[i]))
	}
	p.write(w, "index", view)
}

func (p *Page) write(w http.ResponseWriter, name string, data any) {
	html, err := p.render(name, data)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, html) // a browser that has gone is its own loss
}

func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return strings.TrimSuffix(d.Round(time.Second).String(), "0s")
}

func size(bytes int64) string {
	switch {
	case bytes < 0:
		return ""
	case bytes < 1000:
		return plural(int(bytes), "byte")
	case bytes < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
	case bytes < 1000_000_000:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(bytes)/1e9)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func statusText(code int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
}
