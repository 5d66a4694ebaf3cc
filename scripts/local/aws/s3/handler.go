package s3

import (
	"crypto/md5"
	"fmt"
	"net/http"
	"regexp"
	"strconv"

	xml "github.com/minio/xxml"
	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/signature"
)

// handler stands before gofakes3: it checks the signature itself, because what
// follows changes headers that the signature covers, and tells the backend what
// only the request knows.
type handler struct {
	accessKey, secretKey string
	store                *Store
	next                 http.Handler
}

func newHandler(s *Store, o Options) http.Handler {
	return handler{
		accessKey: o.AccessKey,
		secretKey: o.SecretKey,
		store:     s,
		next:      gofakes3.New(backend{s}).Server(),
	}
}

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Browsers do not sign preflight requests, and those change nothing.
	if r.Method != http.MethodOptions {
		if code := signature.V4SignVerifyWithLookup(r, h.secret); code != signature.ErrNone {
			refused := signature.GetAPIError(code)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(refused.HTTPStatusCode)
			_, _ = w.Write(signature.EncodeAPIErrorToResponse(refused))
			return
		}
	}
	if h.intercepted(w, r) || h.front(w, r) {
		return
	}
	info := requestInfo{reason: reasonOf(r)}
	query := r.URL.Query()
	if v := query.Get("versionId"); r.Method == http.MethodHead && v != nullVersion {
		info.version = gofakes3.VersionID(v)
	}
	if r.Method == http.MethodPost && query.Has("delete") {
		// What is wrong with it, gofakes3 will say.
		var request gofakes3.DeleteRequest
		if body, err := readDocument(w, r); err == nil && xml.Unmarshal(body, &request) == nil {
			info.deletes = request.Objects
		}
	}
	r = r.Clone(withRequestInfo(r.Context(), info))
	// gofakes3 does not know this way of sending a body, which differs from the
	// one it knows only in a trailer that it skips. Left alone, it would store
	// the chunk headers as content.
	const signedTrailer, signed = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	if r.Header.Get("X-Amz-Content-Sha256") == signedTrailer {
		r.Header.Set("X-Amz-Content-Sha256", signed)
	}
	for _, name := range conditionHeaders {
		if v := r.Header.Get(name); v != "" {
			r.Header.Set(name, toHash(v))
		}
	}
	answer := &etagWriter{ResponseWriter: w}
	h.next.ServeHTTP(answer, r)
	answer.translate()
	// The server removes the files of a form only from the request that it made
	// itself, not from this clone.
	if r.MultipartForm != nil {
		_ = r.MultipartForm.RemoveAll()
	}
}

func (h handler) secret(accessKey string) (string, bool) {
	return h.secretKey, accessKey == h.accessKey
}

// conditionHeaders hold ETags that gofakes3 compares with an object's hash.
var conditionHeaders = []string{"If-Match", "If-None-Match", "X-Amz-Copy-Source-If-Match", "X-Amz-Copy-Source-If-None-Match"}

// The two spellings of a multipart ETag: S3's, and that of [object.hash] in
// hex.
var (
	multipartETag = regexp.MustCompile(`\b([0-9a-f]{32})-([0-9]{1,5})\b`)
	multipartHash = regexp.MustCompile(fmt.Sprintf(`^"([0-9a-f]{%d})([0-9a-f]{4})"$`, 2*md5.Size))
)

// toHash replaces S3's spelling by the other, wherever it stands in a list of
// ETags.
func toHash(etags string) string {
	return multipartETag.ReplaceAllStringFunc(etags, func(etag string) string {
		found := multipartETag.FindStringSubmatch(etag)
		n, err := strconv.ParseUint(found[2], 10, 16)
		if err != nil {
			return etag
		}
		return fmt.Sprintf("%s%04x", found[1], n)
	})
}

// etagWriter gives multipart ETags S3's spelling on the way out.
type etagWriter struct {
	http.ResponseWriter
	done bool
}

func (w *etagWriter) translate() {
	if w.done {
		return
	}
	w.done = true
	found := multipartHash.FindStringSubmatch(w.Header().Get("ETag"))
	if found == nil {
		return
	}
	if n, err := strconv.ParseUint(found[2], 16, 16); err == nil {
		w.Header().Set("ETag", fmt.Sprintf(`"%s-%d"`, found[1], n))
	}
}

func (w *etagWriter) WriteHeader(status int) {
	w.translate()
	w.ResponseWriter.WriteHeader(status)
}

func (w *etagWriter) Write(p []byte) (int, error) {
	w.translate()
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *etagWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
