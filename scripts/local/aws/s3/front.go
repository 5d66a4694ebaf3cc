package s3

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"strings"

	xml "github.com/minio/xxml"
	"github.com/rclone/gofakes3"
)

// namespace is that of the API's documents.
const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// region is where every bucket is.
const region = "us-east-1"

// Fault is an error answer of S3.
type Fault struct {
	// Code is the error's, such as "AccessDenied" or "SlowDown".
	Code, Message string
	Status        int
}

// Intercept makes f run before every request that is signed as it must be; nil
// removes it. A fault from f is the answer, and nothing is done. f may wait, to
// delay the request.
func (s *Store) Intercept(f func(*http.Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// intercepted answers a request that the interceptor refuses.
func (h handler) intercepted(w http.ResponseWriter, r *http.Request) bool {
	h.store.mu.Lock()
	intercept := h.store.intercept
	h.store.mu.Unlock()
	if intercept == nil {
		return false
	}
	fault := intercept(r)
	if fault == nil {
		return false
	}
	writeXML(w, fault.Status, gofakes3.ErrorResult{Code: gofakes3.ErrorCode(fault.Code), Message: fault.Message})
	return true
}

// front answers what gofakes3 does not know, or not enough of; false if it
// leaves the request to it.
func (h handler) front(w http.ResponseWriter, r *http.Request) bool {
	bucketName, key, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/") // as gofakes3 takes it apart
	query := r.URL.Query()
	if exists, _ := (backend{h.store}).BucketExists(r.Context(), bucketName); !exists {
		return false
	}
	w.Header().Set("X-Amz-Bucket-Region", region)
	var answer func(http.ResponseWriter, *http.Request, string) error
	switch {
	case key == "" && query.Has("notification"):
		answer = h.notification
	case key == "" && query.Has("versions") && r.Method == http.MethodGet:
		answer = h.versions
	default:
		return false
	}
	w.Header().Set("X-Amz-Request-Id", rand.Text())
	if err := answer(w, r, bucketName); err != nil {
		result := gofakes3.ErrorResultFromError(err)
		writeXML(w, result.Code.Status(), result)
	}
	return true
}

// writeXML writes a document with the encoder that gofakes3 uses: as S3, it
// writes what XML cannot hold all the same.
func writeXML(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, xml.Header)
	// The client has gone if this fails; it will find out by itself.
	_ = xml.NewEncoder(w).Encode(document)
}

// maxDocument is above the largest document of a request: 1,000 keys of 1,024
// bytes, each with its version, escaped.
const maxDocument = 16 << 20

// readDocument reads a request's body, and leaves it to be read again.
func readDocument(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDocument))
	if err != nil {
		return nil, gofakes3.ErrMaxMessageLengthExceeded
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}
