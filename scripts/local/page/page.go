// Package page is the local console: a page on which files are dropped, each
// upload can be watched on its way through the pipeline, and failures are
// simulated.
//
// The page is made on the server; a small script of its own keeps it up to
// date. Only this machine may reach it, and no other page may use it.
package page

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"ittybit-media/handlers/media"
	"ittybit-media/scripts/local/clock"
	"ittybit-media/scripts/local/fakeittybit"
	"ittybit-media/scripts/local/pipeline"
)

// maxUpload is the largest object of a single PUT, in bytes ("Amazon S3
// multipart upload limits", Amazon S3 User Guide).
const maxUpload = 5 << 30

//go:embed assets
var assets embed.FS

var templates = template.Must(template.ParseFS(assets, "assets/*.html"))

// Options are those of a [Page].
type Options struct {
	Addr    string       // of the page, on loopback; "": a free port
	Clock   *clock.Clock // the pipeline's
	Routes  media.Routes
	Outputs string // the folder of the bucket that outputs go to
	FFmpeg  bool   // the outputs are real
}

// Page is the local pipeline's page. It hears of everything from the start,
// through [Page.Observe] and [Page.Ittybit], and can be opened after
// [Page.Start].
type Page struct {
	options  Options
	board    *board
	switches *switches

	pipeline *pipeline.Pipeline
	outputs  string // URL of the server of outputs
	stop     context.CancelFunc
	ctx      context.Context // ends with Close
	servers  []func()
}

// New makes a page.
func New(o Options) *Page {
	p := &Page{options: o, board: newBoard(o.Clock.Now, o.Routes, o.Outputs), switches: newSwitches()}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Observe is told each step of the pipeline.
func (p *Page) Observe(s pipeline.Step) { p.board.observe(s) }

// Ittybit puts the page's hooks and switches into the fake of Ittybit.
func (p *Page) Ittybit(o *fakeittybit.Options) {
	o.Record, o.Changed, o.Called = p.board.requested, p.board.jobChanged, p.board.called
	o.Fault, o.Outcome, o.Deliveries = p.switches.fault, p.switches.outcome, p.switches.deliveries
}

// Start serves the page of a pipeline and returns its URL.
func (p *Page) Start(pipeline *pipeline.Pipeline) (string, error) {
	p.pipeline = pipeline
	p.board.setTable(pipeline.Table)
	outputs, err := p.serve(loopback, p.outputsHandler())
	if err != nil {
		return "", err
	}
	p.outputs = outputs
	return p.serve(cmp.Or(p.options.Addr, loopback), p.pageHandler())
}

const loopback = "127.0.0.1:0"

// Close ends the page, with whoever looks at it.
func (p *Page) Close() {
	p.stop()
	for _, stop := range p.servers {
		stop()
	}
}

// serve runs a handler on loopback, for requests that name it as they must.
func (p *Page) serve(addr string, h http.Handler) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("the page cannot be served: %w", err)
	}
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() {
		_ = l.Close()
		return "", fmt.Errorf("the page can only be served on loopback, such as 127.0.0.1:0, not on %s", addr)
	}
	server := &http.Server{Handler: onlyAs(l.Addr().String(), tcp.Port, h), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	p.servers = append(p.servers, func() {
		_ = server.Close()
		<-done
	})
	return "http://" + l.Addr().String(), nil
}

// onlyAs lets requests through whose Host is the server's own. A page elsewhere
// can have its own name lead to this address (DNS rebinding), and would be of
// one origin with it; it cannot choose the Host that the browser sends.
func onlyAs(addr string, port int, next http.Handler) http.Handler {
	local := net.JoinHostPort("localhost", strconv.Itoa(port))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != addr && r.Host != local {
			http.Error(w, "this server is for this machine alone", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (p *Page) pageHandler() http.Handler {
	static, _ := fs.Sub(assets, "assets") // a path that there is
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.index)
	mux.Handle("GET /page.css", http.FileServerFS(static))
	mux.Handle("GET /page.js", http.FileServerFS(static))
	mux.HandleFunc("GET /changes", p.changes)
	mux.HandleFunc("GET /uploads/{id}", p.details)
	mux.HandleFunc("POST /uploads", p.upload)
	mux.HandleFunc("POST /switches", p.setSwitch)
	mux.HandleFunc("POST /sweep", p.sweep)
	mux.HandleFunc("POST /time", p.advance)

	// A form or script of another page can send requests here, though it cannot
	// read the answers.
	foreign := http.NewCrossOriginProtection()
	policy := strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src " + p.outputs, "media-src " + p.outputs,
		"form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'",
	}, "; ")
	return foreign.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		mux.ServeHTTP(w, r)
	}))
}

// upload stores the request's body as an object under the name of the file.
func (p *Page) upload(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	if name == "" {
		http.Error(w, "the file has no name", http.StatusBadRequest)
		return
	}
	key := pipeline.DefaultKey(p.options.Routes, path.Base(strings.ReplaceAll(name, `\`, "/")))
	if err := p.pipeline.Objects.Put(r.Context(), p.pipeline.Bucket, key, http.MaxBytesReader(w, r.Body, maxUpload)); err != nil {
		status := http.StatusInternalServerError
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, media.Redact(err.Error()), status)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (p *Page) setSwitch(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if err := p.switches.put(q.Get("name"), q.Get("value")); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.board.poke()
	w.WriteHeader(http.StatusNoContent)
}

// sweep runs sweep now, beside its schedule.
func (p *Page) sweep(w http.ResponseWriter, r *http.Request) {
	if _, err := p.pipeline.RunSweep(r.Context()); err != nil {
		http.Error(w, media.Redact(err.Error()), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// How far time may jump at once.
const maxJump = 7 * 24 * time.Hour

// advance lets time pass: the queues, the schedule and the fake of Ittybit go
// by the pipeline's clock.
func (p *Page) advance(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.URL.Query().Get("by"))
	if err != nil || d <= 0 || d > maxJump {
		http.Error(w, fmt.Sprintf("by is not a time up to %v, such as 15m", maxJump), http.StatusBadRequest)
		return
	}
	p.options.Clock.Advance(d)
	p.board.announce(short(d) + " have passed")
	w.WriteHeader(http.StatusNoContent)
}

// outputURL is where a browser finds a job's output, "" where there is none.
func (p *Page) outputURL(j job) string {
	if j.status != fakeittybit.Succeeded || j.id == "" {
		return ""
	}
	name := "output"
	if u, err := url.Parse(j.output); err == nil {
		name = path.Base(u.Path)
	}
	return p.outputs + "/" + url.PathEscape(j.id) + "/" + url.PathEscape(name)
}
