package page

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/handlers/results"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

// What is kept: the page may be open for days.
const (
	maxUploads = 1000     // the oldest go first
	maxNotes   = 60       // of one upload; the first and the latest stay
	maxText    = 64 << 10 // bytes of a request or a callback
)

// board knows how far the uploads are. Everything that happens is told to it,
// by many goroutines; those who show it ask what has changed.
type board struct {
	routes  media.Routes
	outputs media.Folder
	now     func() time.Time

	mu      sync.Mutex
	table   string
	seq     uint64             // of the latest change
	changed chan struct{}      // closed at the next change
	last    int                // id of the latest upload
	uploads []*upload          // the oldest first
	byID    map[string]*upload // by upload identity
	byKey   map[string]*upload // the latest of each key
	totals  totals
	news    []string // what happened beside the uploads, the latest last
}

// totals count since the start; they are never taken back.
type totals struct {
	uploads, matched, dispatched, jobs, callbacks, refused, rows, rejected, skipped, failures, retried int
}

// upload is one upload on its way.
type upload struct {
	id       int
	seq      uint64 // of its latest change
	identity string
	upload   media.Upload
	route    media.Route
	matched  bool
	reason   string // why it gets no jobs; "" if it does
	dead     bool   // in the dead letters
	waiting  bool   // in the retry queue
	tries    int    // by the retry queue
	event    []byte
	notes    []note
	omitted  int // notes
	jobs     []*job
	stale    bool // the table may know more
	rejected string
}

// note is one line of an upload's story.
type note struct {
	at   time.Time
	from string
	text string
	bad  bool
}

// job is one of an upload's jobs.
type job struct {
	name    string
	id      string
	attempt int
	status  fakeittybit.Status // Ittybit's
	state   string             // the row's
	err     string

	requested, created, started, finished, called, stored time.Time

	request  []byte
	callback []byte
	calls    int // attempts to deliver callbacks
	answer   int // to the latest
	output   string
}

func newBoard(now func() time.Time, routes media.Routes, outputs string) *board {
	return &board{
		routes: routes, outputs: media.Folder{Prefix: outputs}, now: now,
		changed: make(chan struct{}), byID: map[string]*upload{}, byKey: map[string]*upload{},
	}
}

// touch notes that an upload changed, nil for something beside them. The lock
// must be held.
func (b *board) touch(u *upload) {
	b.seq++
	if u != nil {
		u.seq = b.seq
	}
	close(b.changed)
	b.changed = make(chan struct{})
}

func (u *upload) note(at time.Time, from, text string, bad bool) {
	if len(u.notes) == maxNotes {
		// The beginning is what tells an upload's story; of a long wait, its end
		// does.
		half := maxNotes / 2
		u.notes = slices.Delete(u.notes, half, half+1)
		u.omitted++
	}
	u.notes = append(u.notes, note{at, from, text, bad})
}

// observe takes a step of the pipeline.
func (b *board) observe(s pipeline.Step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.Upload.Key == "" {
		b.beside(s)
		return
	}
	if b.outputs.Holds(s.Upload.Key) {
		return // what the jobs themselves write
	}
	if s.Kind == pipeline.Uploaded {
		b.add(s)
		return
	}
	u := b.find(s.Upload)
	if u == nil {
		return // older than what is kept
	}
	bad := false
	switch s.Kind {
	case pipeline.Unmatched:
		u.reason = "the rule does not take it: " + s.Text
		b.totals.skipped++
	case pipeline.Skipped:
		if len(u.jobs) == 0 {
			u.reason = "skipped: " + s.Text
		}
		u.waiting = false
		b.totals.skipped++
	case pipeline.Dispatched:
		u.waiting = false
		u.stale = true
		b.totals.dispatched++
	case pipeline.Failed:
		bad = true
		b.totals.failures++
	case pipeline.Waiting:
		u.waiting = true
	case pipeline.Relieved:
		u.waiting, u.stale = false, true
	case pipeline.Retried:
		u.tries++
		b.totals.retried++
	case pipeline.DeadLetter:
		u.dead, u.waiting, bad = true, false, true
	case pipeline.Logged:
		u.stale = true
	}
	text := s.Text
	if s.Kind != pipeline.Logged {
		text = strings.TrimSuffix(string(s.Kind)+": "+s.Text, ": ")
	}
	u.note(s.Time, s.Source, media.Redact(text), bad)
	b.touch(u)
}

// beside takes a step that is about no single upload.
func (b *board) beside(s pipeline.Step) {
	switch s.Kind {
	case pipeline.Swept:
		text := "sweep has run"
		if s.Text != "" {
			text = "sweep failed: " + s.Text
		}
		b.say(s.Time, text)
		for _, u := range b.uploads {
			u.stale = true
			b.touch(u)
		}
	case pipeline.Exited:
		b.say(s.Time, s.Source+"'s process ended: "+s.Text)
	}
}

// maxNews bounds what the page says beside the uploads.
const maxNews = 5

// say shows something that is about no upload. The lock must be held.
func (b *board) say(at time.Time, text string) {
	b.news = append(b.news, at.Format(time.TimeOnly)+" "+media.Redact(text))
	if len(b.news) > maxNews {
		b.news = b.news[1:]
	}
	b.touch(nil)
}

func (b *board) add(s pipeline.Step) {
	b.last++
	u := &upload{id: b.last, upload: s.Upload, identity: s.Upload.ID(b.table), event: s.Event}
	u.route, u.matched = b.routes.Match(s.Upload.Key)
	u.note(s.Time, s.Source, "uploaded: "+s.Text, false)
	b.totals.uploads++
	if u.matched {
		b.totals.matched++
		for _, j := range u.route.Jobs {
			u.jobs = append(u.jobs, &job{name: j.Name})
		}
	}
	if before := b.byID[u.identity]; before != nil {
		// The same bytes under the same key: the same upload, with its jobs.
		u.jobs = before.jobs
		u.stale = true
	}
	b.uploads = append(b.uploads, u)
	b.byID[u.identity], b.byKey[u.upload.Key] = u, u
	if len(b.uploads) > maxUploads {
		oldest := b.uploads[0]
		b.uploads[0] = nil
		b.uploads = b.uploads[1:]
		if b.byID[oldest.identity] == oldest {
			delete(b.byID, oldest.identity)
		}
		if b.byKey[oldest.upload.Key] == oldest {
			delete(b.byKey, oldest.upload.Key)
		}
	}
	b.touch(u)
}

// find is the upload that a step is about; log lines know no more than its key.
func (b *board) find(u media.Upload) *upload {
	if u.ETag != "" || u.VersionID != "" {
		if found := b.byID[u.ID(b.table)]; found != nil {
			return found
		}
	}
	return b.byKey[u.Key]
}

// job is the job of an upload by the metadata that Ittybit has of it.
func (b *board) job(metadata map[string]string) (*upload, *job) {
	ref, err := media.RefFromMetadata(metadata)
	if err != nil {
		return nil, nil
	}
	u := b.byID[ref.Upload]
	if u == nil {
		return nil, nil
	}
	return u, u.job(ref.Job, ref.Attempt)
}

// job is the one of that name; that of a later attempt takes its place.
func (u *upload) job(name string, attempt int) *job {
	for i, j := range u.jobs {
		switch {
		case j.name != name:
		case j.attempt < attempt:
			u.jobs[i] = &job{name: name, attempt: attempt}
			return u.jobs[i]
		default:
			return j
		}
	}
	j := &job{name: name, attempt: attempt}
	u.jobs = append(u.jobs, j)
	return j
}

// requested takes the body of a job request.
func (b *board) requested(_ fakeittybit.Request, body []byte) {
	var request struct {
		Metadata map[string]string `json:"metadata"`
	}
	if json.Unmarshal(body, &request) != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	u, j := b.job(request.Metadata)
	if j == nil {
		return
	}
	j.request = bounded(body)
	if j.requested.IsZero() {
		j.requested = b.now()
	}
	b.touch(u)
}

// jobChanged takes what became of a job at Ittybit.
func (b *board) jobChanged(of fakeittybit.Job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u, j := b.job(of.Metadata)
	if j == nil {
		return
	}
	if j.id == "" {
		b.totals.jobs++
	}
	j.id, j.status = of.ID, of.Status
	j.created, j.started, j.finished, j.output = of.CreatedAt, of.StartedAt, of.FinishedAt, of.OutputURL
	text := j.name + " " + string(of.Status)
	if of.Failure != nil {
		text += ": " + of.Failure.Message
	}
	u.note(b.now(), "Ittybit", media.Redact(text), of.Failure != nil)
	b.touch(u)
}

// called takes an attempt to deliver a callback.
func (b *board) called(c fakeittybit.Called) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u, j := b.job(c.Job.Metadata)
	if j == nil {
		return
	}
	b.totals.callbacks++
	j.callback, j.called, j.answer = bounded(c.Body), c.SentAt, c.Status
	j.calls++
	text := j.name + ": callback not answered"
	if c.Status != 0 {
		text = j.name + ": callback answered " + statusText(c.Status)
	}
	bad := c.Status < 200 || c.Status > 299
	if bad {
		b.totals.refused++
		if c.Last {
			text += "; Ittybit has given up"
		} else {
			text += "; Ittybit will send it again"
		}
	}
	u.note(b.now(), "callback", text, bad)
	u.stale = true
	b.touch(u)
}

// rows takes what the table has of an upload.
func (b *board) rows(u *upload, rows []results.Row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.SortFunc(rows, func(x, y results.Row) int { return cmp.Compare(x.Attempt, y.Attempt) })
	for _, row := range rows {
		if row.Upload != u.identity {
			continue
		}
		if row.Job == "" {
			u.rejected = row.Error
			continue
		}
		j := u.job(row.Job, row.Attempt)
		if j.attempt > row.Attempt || j.state == row.State && j.err == row.Error {
			continue
		}
		final := row.Open == "" && j.state != row.State
		if final && row.State == media.Rejected {
			b.totals.rejected++
		} else if final {
			b.totals.rows++
		}
		j.state, j.err = row.State, row.Error
		if j.id == "" {
			j.id = row.JobID()
		}
		j.stored = row.UpdatedAt.Time()
		b.touch(u)
	}
}

// bounded is a copy of a text that can be kept.
func bounded(body []byte) []byte {
	return slices.Clone(body[:min(len(body), maxText)])
}
