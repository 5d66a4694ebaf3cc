package page

import (
	"net/http"
	"os"
	"path"
	"strings"

	"ittybit-media/scripts/local/fakeittybit"
)

// outputsHandler serves what jobs made, from a port and so an origin of its
// own: an output is a file that somebody uploaded, turned into another.
// Whatever is in it, it runs nothing and reaches nothing of the page's.
func (p *Page) outputsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{job}/{name}", p.output)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'")
		// To a browser, two ports of an IP address are not even one site.
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		mux.ServeHTTP(w, r)
	})
}

func (p *Page) output(w http.ResponseWriter, r *http.Request) {
	j, ok := p.pipeline.Ittybit.Job(r.PathValue("job"))
	if !ok || j.Status != fakeittybit.Succeeded {
		http.NotFound(w, r)
		return
	}
	bucket, key, inS3 := strings.Cut(strings.TrimPrefix(j.Output, "s3://"), "/")
	name := r.PathValue("name")
	if !inS3 {
		own := *r.URL
		own.Path, own.RawPath = fakeittybit.OutputPath(j.ID, name), ""
		request := r.Clone(r.Context())
		request.URL = &own
		p.pipeline.Ittybit.ServeHTTP(w, request)
		return
	}
	if name != path.Base(key) {
		// The segments of a stream lie beside its playlist and bear the job's id.
		if !strings.HasPrefix(name, j.ID+"_") {
			http.NotFound(w, r)
			return
		}
		key = key[:strings.LastIndex(key, "/")+1] + name
	}
	file, release, err := p.pipeline.Objects.Open(bucket, key)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer release()
	content, err := os.Open(file)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer func() { _ = content.Close() }()
	if t := fakeittybit.ContentType(name); t != "" {
		w.Header().Set("Content-Type", t)
	}
	http.ServeContent(w, r, "", j.FinishedAt, content)
}
