package fakeittybit

import (
	"mime"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"unicode"
)

const outputsPath = "/outputs/"

// serveOutput serves a file that a job made, as a CDN would: to anybody.
func (s *Server) serveOutput(w http.ResponseWriter, r *http.Request) {
	id, name := r.PathValue("id"), r.PathValue("name")
	s.mu.Lock()
	j := s.jobs[id]
	there := j != nil && j.Status == Succeeded
	s.mu.Unlock()
	// The name must be one element of a path; the folder is an os.Root besides,
	// which nothing leads out of.
	if !there || s.dir == nil || strings.ContainsAny(name, `/\`) || !filepath.IsLocal(name) {
		http.NotFound(w, r)
		return
	}
	file, err := s.dir.Open(path.Join(id, name))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	if t := ContentType(name); t != "" {
		w.Header().Set("Content-Type", t)
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, name, info.ModTime(), file)
}

// OutputPath is where the fake serves a file that a job made.
func OutputPath(job, name string) string { return outputsPath + job + "/" + name }

// ContentType is that of a file by its name, "" for none. It knows the types
// that the machine's own table may lack.
func ContentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".aac":
		return "audio/aac"
	case ".avif":
		return "image/avif"
	case ".flac":
		return "audio/flac"
	case ".m3u8":
		return "application/vnd.apple.mpegurl"
	case ".mov":
		return "video/quicktime"
	case ".mp3":
		return "audio/mpeg"
	case ".mp4":
		return "video/mp4"
	case ".ogg", ".opus":
		return "audio/ogg"
	case ".ts":
		return "video/mp2t"
	case ".wav":
		return "audio/wav"
	case ".webm":
		return "video/webm"
	case ".webp":
		return "image/webp"
	default:
		return mime.TypeByExtension(ext)
	}
}

// fileName is the name of the job's output where the fake keeps it.
func (j *Job) fileName() string {
	return cleanName(stem(j.Input)) + "." + j.plan.extension()
}

// target is the URL of the job's output.
func (j *Job) target() string {
	if j.Output != "" {
		return j.Output
	}
	return j.base + OutputPath(j.ID, url.PathEscape(j.fileName()))
}

// cleanName makes a name that is good for a file anywhere.
func cleanName(name string) string {
	const longest = 120 // bytes; with an extension, less than any file system's limit
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "")
	}
	name = strings.TrimLeft(name, ". ")
	if name == "" {
		return "output"
	}
	return name
}
