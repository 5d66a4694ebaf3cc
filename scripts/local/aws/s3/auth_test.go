package s3_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/s3"
)

func presign(t *testing.T, f *fixture, key string) string {
	t.Helper()
	signed, err := awss3.NewPresignClient(f.client).PresignPutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(uploads), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return signed.URL
}

func do(t *testing.T, method, url string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put(t, "k", strings.NewReader("x"))
	_, err := client(f.url, "not the secret").GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String(uploads), Key: aws.String("k")})
	if endpointtest.Code(err) != "SignatureDoesNotMatch" {
		t.Errorf("wrong secret: %v", err)
	}
	if status, _ := do(t, http.MethodGet, f.url+"/"+uploads+"/k", nil); status != http.StatusForbidden {
		t.Errorf("no signature: %d", status)
	}
	if status, _ := do(t, http.MethodPut, f.url+"/"+uploads+"/new", strings.NewReader("x")); status != http.StatusForbidden || len(f.events.of("new")) != 0 {
		t.Errorf("put without signature: %d", status)
	}
}

func TestPresignedURLs(t *testing.T) {
	t.Parallel()
	f := start(t)
	const key = "pre signed/é+%41#?.mp4"
	put := presign(t, f, key)
	if status, answer := do(t, http.MethodPut, put, strings.NewReader("through a link")); status != http.StatusOK {
		t.Fatalf("put: %d %s", status, answer)
	}
	if got := f.events.of(key); len(got) != 1 || got[0].Size != 14 {
		t.Errorf("events %+v", got)
	}
	get, err := awss3.NewPresignClient(f.client).PresignGetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String(uploads), Key: aws.String(key)})
	if err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, http.MethodGet, get.URL, nil); status != http.StatusOK || body != "through a link" {
		t.Errorf("get: %d %q", status, body)
	}
	u, err := url.Parse(put)
	if err != nil {
		t.Fatal(err)
	}
	u.Path, u.RawPath = "/"+uploads+"/other", ""
	if status, _ := do(t, http.MethodPut, u.String(), strings.NewReader("x")); status != http.StatusForbidden {
		t.Errorf("a link used for another key: %d", status)
	}
}

// signed sends a request whose body is declared, but not covered, by its
// signature.
func signed(t *testing.T, f *fixture, req *http.Request, payload string) *http.Response {
	t.Helper()
	req.Header.Set("X-Amz-Content-Sha256", payload)
	credentials := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(t.Context(), credentials, req, payload, "s3", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestChunkedBodiesAreDecoded(t *testing.T) {
	t.Parallel()
	f := start(t)
	for i, payload := range []string{
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
	} {
		key := fmt.Sprint("k", i)
		body := "5;chunk-signature=00\r\nhello\r\n6;chunk-signature=00\r\n world\r\n0;chunk-signature=00\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, f.url+"/"+uploads+"/"+key, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Decoded-Content-Length", "11")
		req.Header.Set("Content-Encoding", "aws-chunked")
		if res := signed(t, f, req, payload); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", payload, res.Status)
			continue
		}
		if got := string(f.get(t, key)); got != "hello world" {
			t.Errorf("%s: %q", payload, got)
		}
	}
}

func TestBrowserPost(t *testing.T) {
	t.Parallel()
	f := start(t)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	file, err := w.CreateFormFile("file", "f.mp4")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(file, random(3<<20)); err != nil {
		t.Fatal(err)
	}
	if err := errorsOf(w.WriteField("key", "from/a form"), w.Close()); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/"+uploads, &form)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	if res := signed(t, f, req, "UNSIGNED-PAYLOAD"); res.StatusCode >= 300 {
		t.Fatal(res.Status)
	}
	if got := f.events.of("from/a form"); len(got) != 1 || got[0].Reason != s3.ReasonPost || got[0].Size != 3<<20 {
		t.Errorf("events %+v", got)
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// The heap is one for all tests, so this one does not run beside others.
func TestUploadsDoNotFillMemory(t *testing.T) {
	const size = 200 << 20
	f := start(t)
	done := make(chan struct{})
	var peak atomic.Uint64
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	runtime.GC()
	base := heap()
	sampled := make(chan struct{})
	go func() {
		defer close(sampled)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				peak.Store(max(peak.Load(), heap()))
			}
		}
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, presign(t, f, "big"), random(size))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	close(done)
	<-sampled
	if got := f.events.of("big"); res.StatusCode != http.StatusOK || len(got) != 1 || got[0].Size != size {
		t.Fatalf("%s, events %+v", res.Status, got)
	}
	if p := peak.Load(); p == 0 || p > base+16<<20 {
		t.Errorf("the heap rose from %d to %d MiB", base>>20, p>>20)
	}
}
