package fakeittybit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
)

// ServeHTTP answers as Ittybit's API, and serves the outputs that have no
// other place.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.ctx.Err() != nil {
		refuse(w, http.StatusServiceUnavailable, "unavailable", "the fake is closed")
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("POST /jobs", s.authorized(Create, s.create))
	s.mux.HandleFunc("GET /jobs", s.authorized(List, s.list))
	s.mux.HandleFunc("GET /jobs/{id}", s.authorized(Get, s.get))
	s.mux.HandleFunc("GET "+outputsPath+"{id}/{name}", s.serveOutput)
	for _, path := range []string{"/jobs", "/jobs/{id}"} {
		s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			refuse(w, http.StatusMethodNotAllowed, "method_not_allowed", r.Method+" is not possible here")
		})
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "not_found", "there is nothing at this path")
	})
}

func (s *Server) authorized(op Op, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.stats.count(op)
		header := r.Header.Get("Authorization")
		scheme, key, _ := strings.Cut(header, " ")
		switch {
		case header == "":
			refuse(w, http.StatusUnauthorized, "token_missing", "the request has no Authorization header")
		case !strings.EqualFold(scheme, "Bearer") || !s.keys.hold(key):
			refuse(w, http.StatusUnauthorized, "token_invalid", "the API key is not valid")
		default:
			next(w, r)
		}
	}
}

// keyring are the API keys that are valid.
type keyring struct {
	keys atomic.Pointer[map[string]bool]
}

func (k *keyring) hold(key string) bool { return (*k.keys.Load())[key] }

// SetKeys replaces the API keys that are valid. Several at once let a client
// move from one to the next.
func (s *Server) SetKeys(keys ...string) {
	set := make(map[string]bool, len(keys))
	for _, key := range keys {
		if key != "" {
			set[key] = true
		}
	}
	s.keys.keys.Store(&set)
}

// answer is a response that can be given again.
type answer struct {
	status int
	body   []byte
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that has gone is its own loss
}

// respond is an answer with the value as JSON. What is given to it can always
// be marshalled.
func respond(status int, value any) answer {
	body, err := marshal(value)
	if err != nil {
		return refusal(http.StatusInternalServerError, "internal_error", err.Error())
	}
	return answer{status, body}
}

func refusal(status int, kind, message string) answer {
	return respond(status, Failure{kind, message})
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	refusal(status, kind, message).write(w)
}

const invalidInput = "invalid_input"

func invalid(format string, args ...any) *answer {
	a := refusal(http.StatusBadRequest, invalidInput, fmt.Sprintf(format, args...))
	return &a
}

// marshal leaves & and < as they are, which URLs have and browsers do not see.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	// Answers are kept for a day: without the room that the buffer has left.
	return bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// base is the URL under which the client knows the fake.
func (s *Server) base(r *http.Request) string {
	if s.opts.BaseURL != "" {
		return s.opts.BaseURL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
