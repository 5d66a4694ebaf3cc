package s3_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"ittybit-media/scripts/local/aws/endpoint/endpointtest"
	"ittybit-media/scripts/local/aws/s3"
)

// uploadParts starts a multipart upload and uploads the parts, last first.
func uploadParts(t *testing.T, f *fixture, key string, bodies ...string) (string, []types.CompletedPart) {
	t.Helper()
	created, err := f.client.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
		Bucket: aws.String(uploads), Key: &key, ContentType: aws.String("video/mp4"), Metadata: map[string]string{"m": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	parts := make([]types.CompletedPart, len(bodies))
	for i := len(bodies) - 1; i >= 0; i-- {
		number := aws.Int32(int32(10*i + 1))
		out, err := f.client.UploadPart(t.Context(), &awss3.UploadPartInput{
			Bucket: aws.String(uploads), Key: &key, UploadId: created.UploadId, PartNumber: number, Body: strings.NewReader(bodies[i]),
		})
		if err != nil {
			t.Fatal(err)
		}
		parts[i] = types.CompletedPart{PartNumber: number, ETag: out.ETag}
	}
	return *created.UploadId, parts
}

func (f *fixture) complete(t *testing.T, key, id string, parts []types.CompletedPart) (*awss3.CompleteMultipartUploadOutput, error) {
	t.Helper()
	return f.client.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{
		Bucket: aws.String(uploads), Key: &key, UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	f := start(t)
	const key = "big/é film.mov"
	id, parts := uploadParts(t, f, key, "first ", "second ", "third")
	if n := len(f.events.list()); n != 0 {
		t.Fatalf("%d events before the end", n)
	}
	out, err := f.complete(t, key, id, parts)
	if err != nil {
		t.Fatal(err)
	}
	sums := md5.New()
	for _, p := range []string{"first ", "second ", "third"} {
		s := md5.Sum([]byte(p))
		sums.Write(s[:])
	}
	etag := fmt.Sprintf("%x-3", sums.Sum(nil))
	if *out.ETag != `"`+etag+`"` {
		t.Errorf("etag %s, want %s", *out.ETag, etag)
	}
	if got := string(f.get(t, key)); got != "first second third" {
		t.Errorf("content %q", got)
	}
	events := f.events.of(key)
	if len(events) != 1 || events[0].Reason != s3.ReasonMultipart || events[0].ETag != etag || events[0].Size != 18 {
		t.Errorf("events %+v", events)
	}
	head, err := f.client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(uploads), Key: aws.String(key)})
	if err != nil || *head.ETag != `"`+etag+`"` || *head.ContentType != "video/mp4" || head.Metadata["m"] != "1" {
		t.Errorf("head %+v, %v", head, err)
	}
	list, err := f.client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(uploads)})
	if err != nil || *list.Contents[0].ETag != `"`+etag+`"` {
		t.Errorf("list %+v, %v", list, err)
	}
	// Conditions take the ETag as S3 spells it.
	if body, err := f.fetch(t.Context(), &awss3.GetObjectInput{Key: aws.String(key), IfMatch: head.ETag, Range: aws.String("bytes=6-11")}); err != nil || string(body) != "second" {
		t.Errorf("if-match: %q, %v", body, err)
	}
	other := strings.Replace(*head.ETag, "-3", "-4", 1)
	if _, err := f.fetch(t.Context(), &awss3.GetObjectInput{Key: aws.String(key), IfMatch: &other}); endpointtest.Code(err) != "PreconditionFailed" {
		t.Errorf("if-match of another: %v", err)
	}
	if body, err := f.fetch(t.Context(), &awss3.GetObjectInput{Key: aws.String(key), PartNumber: aws.Int32(3)}); err != nil || string(body) != "third" {
		t.Errorf("part 3: %q, %v", body, err)
	}
	// A copy is one piece.
	copied, err := f.client.CopyObject(t.Context(), &awss3.CopyObjectInput{
		Bucket: aws.String(uploads), Key: aws.String("copy"), CopySource: aws.String(uploads + "/big/%C3%A9%20film.mov"),
	})
	if want := sum([]byte("first second third")); err != nil || *copied.CopyObjectResult.ETag != `"`+want+`"` {
		t.Errorf("copy: %+v, %v", copied, err)
	}
}

func TestCompleteTwiceCreatesOnce(t *testing.T) {
	t.Parallel()
	f := start(t)
	id, parts := uploadParts(t, f, "k", "a", "b")
	var wg sync.WaitGroup
	for range 5 {
		// A client whose answer was lost asks again; gofakes3 may tell all but
		// one that the upload is gone.
		wg.Go(func() {
			if _, err := f.complete(t, "k", id, parts); err != nil && endpointtest.Code(err) != "NoSuchUpload" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if out, err := f.complete(t, "k", id, parts); err != nil || out.ETag == nil {
		t.Errorf("once more: %v", err)
	}
	if got := f.events.of("k"); len(got) != 1 {
		t.Errorf("%d events, want one", len(got))
	}
	if got := string(f.get(t, "k")); got != "ab" {
		t.Errorf("content %q", got)
	}
}

func TestMultipartMistakes(t *testing.T) {
	t.Parallel()
	f := start(t)
	id, parts := uploadParts(t, f, "k", "a", "b")
	for name, tc := range map[string]struct {
		parts []types.CompletedPart
		want  string
	}{
		"wrong order": {[]types.CompletedPart{parts[1], parts[0]}, "InvalidPartOrder"},
		"twice":       {[]types.CompletedPart{parts[0], parts[0]}, "InvalidPartOrder"},
		"wrong etag":  {[]types.CompletedPart{{PartNumber: parts[0].PartNumber, ETag: parts[1].ETag}}, "InvalidPart"},
		"never sent":  {[]types.CompletedPart{{PartNumber: aws.Int32(99), ETag: parts[1].ETag}}, "InvalidPart"},
		"no part":     {nil, "MalformedXML"},
	} {
		if _, err := f.complete(t, "k", id, tc.parts); endpointtest.Code(err) != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	if len(f.events.list()) != 0 {
		t.Error("a refused upload created an object")
	}
	if _, err := f.complete(t, "k", id, parts[:1]); err != nil {
		t.Errorf("after the mistakes: %v", err)
	}
	if got := string(f.get(t, "k")); got != "a" {
		t.Errorf("content %q", got)
	}
}

func TestAbortRemovesParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := start(t, func(o *s3.Options) { o.Dir = dir })
	id, parts := uploadParts(t, f, "k", "a", "b")
	// The same part again replaces the first try.
	again, err := f.client.UploadPart(t.Context(), &awss3.UploadPartInput{
		Bucket: aws.String(uploads), Key: aws.String("k"), UploadId: &id, PartNumber: parts[0].PartNumber, Body: strings.NewReader("c"),
	})
	if err != nil || *again.ETag == *parts[0].ETag {
		t.Fatalf("part again: %v", err)
	}
	if _, err := f.client.AbortMultipartUpload(t.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(uploads), Key: aws.String("k"), UploadId: &id}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.complete(t, "k", id, parts); endpointtest.Code(err) != "NoSuchUpload" {
		t.Errorf("complete after abort: %v", err)
	}
	if files := filesUnder(t, dir); files != 0 {
		t.Errorf("%d files stay", files)
	}
}

func TestUploadPartCopy(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put(t, "src", strings.NewReader("0123456789"))
	id, _ := uploadParts(t, f, "dst")
	out, err := f.client.UploadPartCopy(t.Context(), &awss3.UploadPartCopyInput{
		Bucket: aws.String(uploads), Key: aws.String("dst"), UploadId: &id, PartNumber: aws.Int32(1),
		CopySource: aws.String(uploads + "/src"), CopySourceRange: aws.String("bytes=2-5"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.complete(t, "dst", id, []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: out.CopyPartResult.ETag}}); err != nil {
		t.Fatal(err)
	}
	if got := f.get(t, "dst"); !bytes.Equal(got, []byte("2345")) {
		t.Errorf("content %q", got)
	}
}

func filesUnder(t *testing.T, dir string) (n int) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	stores, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stores {
		sub, err := root.Open(s.Name())
		if err != nil {
			t.Fatal(err)
		}
		names, err := sub.Readdirnames(-1)
		sub.Close()
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		n += len(names)
	}
	return n
}
