package s3_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"ittybit-media/scripts/local/aws/s3"
)

const (
	accessKey = "AKIATEST"
	secretKey = "a secret of the test"
	uploads   = "uploads"
)

// events collects what OnCreated says.
type events struct {
	mu  sync.Mutex
	all []s3.Created
}

func (e *events) add(c s3.Created) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, c)
}

func (e *events) list() []s3.Created {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.all)
}

// of gives the events of one key.
func (e *events) of(key string) []s3.Created {
	return slices.DeleteFunc(e.list(), func(c s3.Created) bool { return c.Key != key })
}

type fixture struct {
	store  *s3.Store
	url    string
	client *awss3.Client
	events *events
}

func start(t *testing.T, change ...func(*s3.Options)) *fixture {
	t.Helper()
	f := &fixture{events: &events{}}
	options := s3.Options{
		Dir: t.TempDir(), AccessKey: accessKey, SecretKey: secretKey,
		Buckets: []s3.Bucket{{Name: uploads, EventBridge: true}}, OnCreated: f.events.add,
	}
	for _, c := range change {
		c(&options)
	}
	store, err := s3.New(options)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	f.store, f.url = store, server.URL
	f.client = client(server.URL, secretKey)
	return f
}

func client(url, secret string) *awss3.Client {
	return awss3.New(awss3.Options{
		Region: "us-east-1", BaseEndpoint: &url, UsePathStyle: true, HTTPClient: http.DefaultClient,
		Credentials:      credentials.NewStaticCredentialsProvider(accessKey, secret, ""),
		RetryMaxAttempts: 1,
	})
}

func (f *fixture) put(t *testing.T, key string, body io.Reader) *awss3.PutObjectOutput {
	t.Helper()
	out, err := f.client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(uploads), Key: &key, Body: body})
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return out
}

func (f *fixture) get(t *testing.T, key string) []byte {
	t.Helper()
	body, err := f.fetch(t.Context(), &awss3.GetObjectInput{Key: &key})
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return body
}

func (f *fixture) fetch(ctx context.Context, in *awss3.GetObjectInput) ([]byte, error) {
	in.Bucket = aws.String(uploads)
	out, err := f.client.GetObject(ctx, in)
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

// random is a reader of n bytes that are the same every time.
func random(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

func sum(b []byte) string {
	s := md5.Sum(b)
	return hex.EncodeToString(s[:])
}
