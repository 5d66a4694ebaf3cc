package s3_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/s3"
)

func TestBuckets(t *testing.T) {
	t.Parallel()
	f := start(t)
	ctx := t.Context()
	put := func(bucket string) error {
		_, err := f.client.PutObject(ctx, &awss3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: strings.NewReader("x")})
		return err
	}
	if err := put("unknown"); endpointtest.Code(err) != "NoSuchBucket" {
		t.Errorf("put into an unknown bucket: %v", err)
	}
	if _, err := f.client.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("another")}); err != nil {
		t.Fatal(err)
	}
	if err := put("another"); err != nil {
		t.Error(err)
	}
	if _, err := f.client.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("another")}); endpointtest.Code(err) != "BucketAlreadyExists" {
		t.Errorf("the same bucket twice: %v", err)
	}
	if err := f.store.CreateBucket(s3.Bucket{Name: "Not_A_Bucket"}); err == nil {
		t.Error("a bad bucket name was accepted")
	}
	if _, err := s3.New(s3.Options{Dir: t.TempDir(), Buckets: []s3.Bucket{{Name: "x"}}, AccessKey: "a", SecretKey: "b"}); err == nil {
		t.Error("New accepted a bad bucket name")
	}
	if _, err := s3.New(s3.Options{Dir: t.TempDir()}); err == nil {
		t.Error("New accepted no credentials")
	}
}

func TestPutFileAndClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := start(t, func(o *s3.Options) { o.Dir = dir })
	path := filepath.Join(t.TempDir(), "f.mp4")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.store.PutFile(t.Context(), uploads, "in/f.mp4", path); err != nil {
		t.Fatal(err)
	}
	if got := string(f.get(t, "in/f.mp4")); got != "content" {
		t.Errorf("got %q", got)
	}
	if got := f.events.of("in/f.mp4"); len(got) != 1 || got[0].Reason != s3.ReasonPut || got[0].Size != 7 {
		t.Errorf("events: %+v", got)
	}
	if err := f.store.PutFile(t.Context(), "unknown", "k", path); err == nil {
		t.Error("PutFile into an unknown bucket succeeded")
	}
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("Close left %v", left)
	}
	if _, err := f.fetch(t.Context(), &awss3.GetObjectInput{Key: aws.String("in/f.mp4")}); err == nil {
		t.Error("a read after Close succeeded")
	}
}

func TestShortBodyStoresNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := start(t, func(o *s3.Options) { o.Dir = dir })
	// A client that gives up in the middle of a body whose length it announced.
	ctx, cancel := context.WithCancel(t.Context())
	body := &breaking{left: 1 << 20, then: cancel}
	url := presign(t, f, "cut")
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 4 << 20
	if res, err := http.DefaultClient.Do(req); err == nil {
		res.Body.Close()
		t.Errorf("a cut body was answered %s", res.Status)
	}
	f.put(t, "after", strings.NewReader("x"))
	if _, err := f.fetch(t.Context(), &awss3.GetObjectInput{Key: aws.String("cut")}); endpointtest.Code(err) != "NoSuchKey" {
		t.Errorf("the cut object: %v", err)
	}
	if got := f.events.of("cut"); len(got) != 0 {
		t.Errorf("events: %+v", got)
	}
}

// breaking gives some bytes and then makes the client go away.
type breaking struct {
	left int
	then func()
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.then()
		return 0, errors.New("gone")
	}
	n := min(len(p), b.left)
	b.left -= n
	return n, nil
}
