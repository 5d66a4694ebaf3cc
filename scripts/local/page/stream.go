package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"ittybit-media/handlers/results"
)

const (
	// shown is how many uploads the page lists; the counts have all.
	shown = 200
	// pause is the least time between two pushes: what changes in it is one.
	pause = 150 * time.Millisecond
	// beat keeps the connection of a page on which nothing happens.
	beat = 20 * time.Second
)

// push is one message to the page.
type push struct {
	Uploads  []pushed          `json:"uploads,omitempty"`
	Status   string            `json:"status"`   // HTML of the diagram
	Switches map[string]string `json:"switches"` // how they are set
}

// pushed is one upload that changed.
type pushed struct {
	ID   int    `json:"id"`
	HTML string `json:"html"`
	Bad  bool   `json:"bad"`
	Over bool   `json:"over"`
	Says string `json:"says,omitempty"` // for those who do not see the page
}

// changes streams what changes, until the page is closed. Each message has all
// that a page needs that saw the one before, and says which one it is: a page
// that lost the connection goes on from there.
func (p *Page) changes(w http.ResponseWriter, r *http.Request) {
	since, _ := strconv.ParseUint(r.URL.Query().Get("since"), 10, 64)
	if last, err := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64); err == nil {
		since = last
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	heartbeat := time.NewTicker(beat)
	defer heartbeat.Stop()
	fmt.Fprint(w, "retry: 1000\n\n")
	for {
		// First the signal, then the look: what happens in between is looked at
		// again.
		changed := p.board.change()
		p.readRows(r)
		if p.board.isAfter(since) {
			message, err := p.push(since)
			if err != nil {
				return
			}
			since = message.seq
			if _, err := fmt.Fprintf(w, "id: %d\ndata: %s\n\n", since, message.data); err != nil {
				return
			}
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-heartbeat.C:
			fmt.Fprint(w, ":\n\n")
			continue
		case <-r.Context().Done():
			return
		case <-p.ctx.Done():
			return
		}
		select {
		case <-time.After(pause):
		case <-r.Context().Done():
			return
		case <-p.ctx.Done():
			return
		}
	}
}

type message struct {
	seq  uint64
	data []byte
}

func (p *Page) push(since uint64) (message, error) {
	uploads, seq := p.board.since(since, shown)
	m := push{Switches: p.switches.all()}
	for _, u := range uploads {
		html, err := p.render("line", p.line(u))
		if err != nil {
			return message{}, err
		}
		m.Uploads = append(m.Uploads, pushed{ID: u.id, HTML: html, Bad: u.bad(), Over: u.over(), Says: u.says()})
	}
	var err error
	if m.Status, err = p.render("status", p.status()); err != nil {
		return message{}, err
	}
	data, err := json.Marshal(m)
	return message{seq, data}, err
}

func (p *Page) render(name string, data any) (string, error) {
	var b bytes.Buffer
	err := templates.ExecuteTemplate(&b, name, data)
	return b.String(), err
}

// readRows reads the rows of the uploads that are shown and may have new ones.
func (p *Page) readRows(r *http.Request) {
	table := results.New(p.pipeline.DynamoDB(), p.pipeline.Table, results.Options{})
	for _, u := range p.board.stale(shown) {
		var rows []results.Row
		for row, err := range table.RowsByKey(r.Context(), u.upload.Key) {
			if err != nil {
				return // the page will ask again
			}
			rows = append(rows, row)
		}
		p.board.rows(u, rows)
	}
}

// change is a channel that is closed at the next change.
func (b *board) change() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// isAfter reports whether something changed after a change.
func (b *board) isAfter(seq uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seq > seq
}

// since are copies of those of the latest uploads that changed after a change,
// the oldest first, and the latest change that they have in them.
func (b *board) since(seq uint64, most int) ([]*upload, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changed []*upload
	for _, u := range b.uploads[max(0, len(b.uploads)-most):] {
		if u.seq > seq {
			changed = append(changed, u.copy())
		}
	}
	return changed, b.seq
}

// stale are the uploads whose rows are to be read, which they then are not any
// more.
func (b *board) stale(most int) []*upload {
	b.mu.Lock()
	defer b.mu.Unlock()
	var stale []*upload
	for _, u := range b.uploads[max(0, len(b.uploads)-most):] {
		if u.stale {
			u.stale = false
			stale = append(stale, u)
		}
	}
	return stale
}

// one is a copy of an upload, nil if it is not kept.
func (b *board) one(id int) *upload {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.uploads {
		if u.id == id {
			return u.copy()
		}
	}
	return nil
}

// copy is for those who look at an upload without the lock.
func (u *upload) copy() *upload {
	c := *u
	c.notes = slices.Clone(u.notes)
	c.jobs = make([]*job, len(u.jobs))
	for i, j := range u.jobs {
		own := *j
		c.jobs[i] = &own
	}
	return &c
}

func (b *board) counts() (totals, []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.totals, slices.Clone(b.news)
}

// setTable says in which table the uploads have their identity.
func (b *board) setTable(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.table = name
}

// poke has the page drawn again.
func (b *board) poke() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.touch(nil)
}

// announce shows what the page itself has done.
func (b *board) announce(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.say(b.now(), text)
}
