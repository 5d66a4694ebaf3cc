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

// defaultRegion is the region of buckets that have none of their own.
const defaultRegion = "us-east-1"

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
	region, redirects, known := h.store.regionOf(bucketName)
	if !known {
		return false
	}
	w.Header().Set("X-Amz-Bucket-Region", region)
	var answer func(http.ResponseWriter, *http.Request, string) error
	switch {
	case key == "" && query.Has("location") && r.Method == http.MethodGet:
		answer = h.location
	case redirects && signedFor(r) != region:
		answer = h.redirect
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

// signedFor is the region in a signature's credential,
// KEY/DATE/REGION/s3/aws4_request.
func signedFor(r *http.Request) string {
	credential := r.URL.Query().Get("X-Amz-Credential")
	if _, signed, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		credential = signed
	}
	parts := strings.Split(credential, "/")
	if len(parts) < 3 {
		return ""
	}
	return parts[2]
}

// regionOf is where a bucket is, and whether it redirects requests for
// elsewhere.
func (s *Store) regionOf(bucketName string) (region string, redirects, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bkt := s.buckets[bucketName]
	switch {
	case bkt == nil:
		return "", false, false
	case bkt.Region == "":
		return defaultRegion, false, true
	}
	return bkt.Region, true, true
}

// location answers with an empty constraint for us-east-1 (Amazon S3 API
// Reference, "GetBucketLocation").
func (h handler) location(w http.ResponseWriter, _ *http.Request, bucketName string) error {
	region, _, _ := h.store.regionOf(bucketName)
	if region == defaultRegion {
		region = ""
	}
	writeXML(w, http.StatusOK, gofakes3.GetBucketLocation{Xmlns: namespace, LocationConstraint: region})
	return nil
}

// redirect sends a request to the bucket's region, which the header names
// (Amazon S3 User Guide, "Making requests using the REST API").
func (h handler) redirect(w http.ResponseWriter, _ *http.Request, _ string) error {
	writeXML(w, http.StatusMovedPermanently, gofakes3.ErrorResult{
		Code: "PermanentRedirect", Message: "The bucket you are attempting to access must be addressed using the specified endpoint.",
	})
	return nil
}
